//! Contributions side by side: for each of some coordinates, what every contribution says there.
//!
//! Coordinates lie in groups of sixteen lanes; a group's tile has one row of lanes per contribution and lies in one
//! piece, so it stays in the nearest cache while a rule works on it. Dense contributions are taken in runs; of sparse
//! ones, chunk by chunk, only the coordinates that somebody sent, in the order in which they are first met. The last
//! group is padded with lanes that stand for no coordinate.

use crate::algorithm::contribution::Contribution;
use crate::algorithm::layout::Tensor;

/// Coordinates that are worked on together.
pub const LANES: usize = 16;

/// One value for each of them.
pub type Lanes = [f32; LANES];

/// Coordinates of a run of a dense tensor.
const RUN: usize = 256;

/// The values of all contributions at some coordinates of one tensor.
#[derive(Debug, Default)]
pub struct Block {
    rows: usize,
    tiles: Vec<Lanes>,
    places: Places,
}

/// Coordinates within a tensor.
#[derive(Debug)]
enum Places {
    Run { start: usize, length: usize },
    Listed(Vec<u32>),
}

impl Default for Places {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Block {
    /// The tiles, one row of lanes per contribution each.
    pub fn tiles(&self) -> std::slice::ChunksExact<'_, Lanes> {
        self.tiles.chunks_exact(self.rows)
    }

    /// Number of tiles.
    pub fn groups(&self) -> usize {
        self.tiles.len() / self.rows
    }

    /// One of the tiles, to be changed.
    #[inline(always)]
    pub fn tile_mut(&mut self, group: usize) -> &mut [Lanes] {
        &mut self.tiles[group * self.rows..(group + 1) * self.rows]
    }

    /// Visits each coordinate's place in the tensor, with all contributions' values.
    pub fn for_each_column(&self, mut visitor: impl FnMut(usize, &mut dyn Iterator<Item = f32>)) {
        let length = match &self.places {
            Places::Run { length, .. } => *length,
            Places::Listed(listed) => listed.len(),
        };
        for column in 0..length {
            let place = match &self.places {
                Places::Run { start, .. } => start + column,
                Places::Listed(listed) => listed[column] as usize,
            };
            let from = column / LANES * self.rows;
            let tile = &self.tiles[from..from + self.rows];
            visitor(place, &mut tile.iter().map(|lanes| lanes[column % LANES]));
        }
    }

    /// Writes one value for each coordinate of tile `group` into the tensor.
    pub fn write(&self, group: usize, values: &Lanes, tensor: &mut [f32]) {
        let from = group * LANES;
        match &self.places {
            Places::Run { start, length } => {
                let count = LANES.min(length - from);
                tensor[start + from..start + from + count].copy_from_slice(&values[..count]);
            }
            Places::Listed(listed) => {
                for (&place, &value) in listed[from..].iter().zip(values) {
                    tensor[place as usize] = value;
                }
            }
        }
    }
}

/// All contributions to one tensor.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    /// In the order of their rows.
    pub contributions: &'a [&'a Contribution],
    /// What each is multiplied by.
    pub factors: &'a [f32],
    /// The tensor's index in the layout.
    pub number: usize,
    /// The tensor.
    pub tensor: &'a Tensor,
}

impl Columns<'_> {
    /// Visits all coordinates that anybody sent; `absent` stands where one did not.
    ///
    /// `slots` is memory of the tensor's length for sparse contributions, all zero before and after.
    pub fn visit(&self, absent: f32, slots: &mut [u32], block: &mut Block, mut visitor: impl FnMut(&mut Block)) {
        block.rows = self.contributions.len();
        let Some(first) = self.contributions.first() else { return };
        if first.is_sparse() {
            for chunk in 0..first.chunks(self.number) {
                self.fill_chunk(chunk, absent, slots, block);
                visitor(block);
            }
        } else {
            for start in (0..self.tensor.len()).step_by(RUN) {
                self.fill_run(start, block);
                visitor(block);
            }
        }
    }

    fn fill_run(&self, start: usize, block: &mut Block) {
        let length = RUN.min(self.tensor.len() - start);
        block.places = Places::Run { start, length };
        block.tiles.resize(length.div_ceil(LANES) * block.rows, [0.0; LANES]);
        for (row, (contribution, &factor)) in self.contributions.iter().zip(self.factors).enumerate() {
            let values = &contribution.values(self.number)[start..start + length];
            let (groups, rest) = values.as_chunks::<LANES>();
            let mut lanes = block.tiles[row..].iter_mut().step_by(block.rows);
            for (group, lanes) in groups.iter().zip(lanes.by_ref()) {
                *lanes = group.map(|value| factor * value);
            }
            if let (Some(lanes), false) = (lanes.next(), rest.is_empty()) {
                *lanes = [0.0; LANES];
                lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane = factor * value);
            }
        }
    }

    fn fill_chunk(&self, chunk: usize, absent: f32, slots: &mut [u32], block: &mut Block) {
        let mut listed = match std::mem::take(&mut block.places) {
            Places::Listed(listed) => listed,
            Places::Run { .. } => Vec::new(),
        };
        listed.clear();
        block.tiles.clear();
        for (row, (contribution, &factor)) in self.contributions.iter().zip(self.factors).enumerate() {
            let sent = contribution.chunk(self.number, chunk);
            for (&index, &value) in sent.indices.iter().zip(sent.values) {
                let place = index as usize - self.tensor.offset;
                if slots[place] == 0 {
                    if listed.len().is_multiple_of(LANES) {
                        block.tiles.resize(block.tiles.len() + block.rows, [absent; LANES]);
                    }
                    listed.push(place as u32);
                    slots[place] = listed.len() as u32;
                }
                let slot = slots[place] as usize - 1;
                // An index that comes again carries the same value again.
                block.tiles[slot / LANES * block.rows + row][slot % LANES] = factor * value;
            }
        }
        listed.iter().for_each(|&place| slots[place as usize] = 0);
        block.places = Places::Listed(listed);
    }
}
