//! The statistical quantiser of the public code: bins over a few standard deviations, decoded to the bins' means.
//!
//! Over all n values v of one tensor, with b = 2^bits bins:
//!
//! ```text
//! shift  = mean(v)            c = v − shift
//! σ      = ‖c‖ / √(n − 1)     scale = range · σ / b         (1 where that is 0, infinite or NaN)
//! bin    = clamp(round_half_even(c / scale + b/2), 0, b − 1)
//! lookup = mean of c in each bin, 0 for an empty one
//! decoded value = lookup[bin] + shift
//! ```
//!
//! With 4 bins over 6 σ the edges are −2.25 σ, −0.75 σ and 0.75 σ: not symmetric, and on the two-sided values that top-k
//! leaves it is nearly a sign with one magnitude each. Statistics are the tensor's, not the chunk's, so chunks of small
//! magnitude decode to nearly nothing and wait in the error feedback.
//!
//! Sums are taken in f64 and rounded to f32 once; everything else is f32, rounded where a tensor library rounds.

use pulp::Arch;

use super::reduce;

/// What turns bin numbers back into values.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    /// Mean of the values.
    pub shift: f32,
    /// Width of a bin; decoding does not need it.
    pub scale: f32,
    /// Mean of the centred values in each bin; 2^bits.
    pub lookup: Vec<f32>,
}

impl Codebook {
    /// The value of each bin: lookup + shift.
    #[must_use]
    pub fn decoded(&self) -> Vec<f32> {
        self.lookup.iter().map(|&centre| centre + self.shift).collect()
    }
}

/// Replaces `bins` by the bin number of each value; returns the codebook and how many values fell in each bin.
///
/// Values that are not finite do not panic; they give a codebook that decoders refuse.
pub fn quantize(values: &[f32], bits: u32, range: f32, bins: &mut Vec<u8>) -> (Codebook, Vec<u64>) {
    let bin_count = 1_usize << bits;
    let shift = (reduce::sum(values) / values.len() as f64) as f32;
    let norm = reduce::sum_of_squares_around(values, shift).sqrt() as f32;
    let deviation = norm / (values.len().saturating_sub(1) as f64).sqrt() as f32;
    let scale = range * deviation / bin_count as f32;
    let scale = if scale.is_finite() && scale != 0.0 { scale } else { 1.0 };

    let (offset, last) = ((bin_count / 2) as f32, (bin_count - 1) as f32);
    bins.clear();
    bins.resize(values.len(), 0);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (bin, &value) in bins.iter_mut().zip(values) {
                *bin = ((value - shift) / scale + offset).round_ties_even().clamp(0.0, last) as u8;
            }
        },
    );

    let mut sums = vec![0.0_f64; bin_count];
    let mut counts = vec![0_u64; bin_count];
    for (&bin, &value) in bins.iter().zip(values) {
        sums[usize::from(bin)] += f64::from(value - shift);
        counts[usize::from(bin)] += 1;
    }
    let lookup = sums.iter().zip(&counts).map(|(&sum, &count)| (sum / count.max(1) as f64) as f32).collect();
    (Codebook { shift, scale, lookup }, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_value_is_exact() {
        let mut bins = Vec::new();
        let (book, counts) = quantize(&[0.3], 2, 6.0, &mut bins);
        assert_eq!((book.scale, bins[0], book.decoded()[2]), (1.0, 2, 0.3));
        assert_eq!(counts, [0, 0, 1, 0]);
    }

    #[test]
    fn no_value_gives_an_empty_codebook_and_no_panic() {
        let (book, counts) = quantize(&[], 2, 6.0, &mut Vec::new());
        assert_eq!((book.scale, counts), (1.0, vec![0; 4]));
    }

    #[test]
    fn what_is_not_finite_shows_in_the_codebook() {
        for poison in [f32::NAN, f32::INFINITY] {
            let (book, _) = quantize(&[1.0, poison, 2.0], 4, 6.0, &mut Vec::new());
            assert!(!book.shift.is_finite());
            assert_eq!(book.scale, 1.0);
        }
    }

    #[test]
    fn halves_round_to_the_even_bin() {
        // mean 0, ‖c‖ = 2, n − 1 = 3, range 4√3 over 8: every bin is 1 wide.
        let mut bins = Vec::new();
        let (book, _) = quantize(&[-1.0, 1.0, -1.0, 1.0], 4, 8.0 * 3.0_f32.sqrt(), &mut bins);
        assert!((book.scale - 1.0).abs() < 1e-6, "{}", book.scale);
        assert_eq!(bins, [7, 9, 7, 9]);
    }
}
