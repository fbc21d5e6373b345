//! How decoded contributions become one aggregate, as plain data; [`aggregate`](crate::algorithm::aggregate) does it.

use serde::{Deserialize, Serialize};

/// How decoded contributions become one aggregate: clip, then mix, then combine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregation {
    /// The divisor of each coordinate's sum, for [`Rule::Average`] without mixing.
    pub average: Average,
    /// What is done to large contributions first.
    pub clip: Clip,
    /// What replaces contributions before they are combined.
    #[serde(default)]
    pub mixing: Mixing,
    /// How contributions are combined.
    #[serde(default)]
    pub rule: Rule,
    /// What a coordinate counts as that a peer did not send, for rules that go coordinate by coordinate.
    #[serde(default)]
    pub absent: Absent,
}

impl Aggregation {
    /// The plain average.
    #[must_use]
    pub const fn averaging(average: Average, clip: Clip) -> Self {
        Self { average, clip, mixing: Mixing::None, rule: Rule::Average, absent: Absent::Zero }
    }

    /// How many false contributions it is set to tolerate; 0 where nothing says it.
    #[must_use]
    pub fn tolerance(&self) -> usize {
        let mixed = match self.mixing {
            Mixing::None => 0,
            Mixing::NearestNeighbours { f } => f,
        };
        mixed.max(self.rule.tolerance())
    }
}

/// The divisor of a coordinate's sum over contributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The number of peers that sent the coordinate (the public code).
    Contributors,
    /// The number R of contributions (the paper).
    Peers,
}

/// Clipping of contributions before they are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// Contributions are taken as they are.
    None,
    /// Per tensor, scaled down to the lower median of the contributions' L2 norms.
    MedianNorm,
}

/// What replaces contributions before they are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mixing {
    /// Nothing.
    #[default]
    None,
    /// Each by the mean of the R − f nearest to it, itself among them (NNM).
    NearestNeighbours {
        /// Contributions that may be false.
        f: usize,
    },
}

/// How contributions are combined.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The mean.
    #[default]
    Average,
    /// Coordinate by coordinate the median, the mean of the two middle values for even R.
    Median,
    /// Coordinate by coordinate the mean without the f smallest and the f largest values.
    TrimmedMean {
        /// Contributions that may be false.
        f: usize,
    },
    /// Coordinate by coordinate the mean of the R − f values nearest to the median (MeaMed).
    MeanAroundMedian {
        /// Contributions that may be false.
        f: usize,
    },
    /// Coordinate by coordinate the sign that more values have, times `magnitude`; 0 on a tie.
    SignMajority {
        /// The size of each coordinate of the aggregate.
        magnitude: f32,
    },
    /// The contribution whose R − f − 1 nearest others have the least mean squared distance to it.
    Krum {
        /// Contributions that may be false.
        f: usize,
    },
    /// The mean of the R − f contributions that [`Rule::Krum`] likes best.
    MultiKrum {
        /// Contributions that may be false.
        f: usize,
    },
    /// The point with the least sum of distances, by Weiszfeld's iteration from 0.
    GeometricMedian {
        /// Distances below this count as this.
        smoothing: f64,
        /// Iterations.
        iterations: u32,
    },
    /// The mean of the contributions' differences from a centre, each cut to `radius`; the result is the next centre.
    CentredClipping {
        /// Largest L2 norm of a difference.
        radius: f64,
        /// Iterations; the first centre is 0.
        iterations: u32,
    },
}

impl Rule {
    /// Its f; 0 if it has none.
    #[must_use]
    pub const fn tolerance(self) -> usize {
        match self {
            Self::TrimmedMean { f } | Self::MeanAroundMedian { f } | Self::Krum { f } | Self::MultiKrum { f } => f,
            Self::Average
            | Self::Median
            | Self::SignMajority { .. }
            | Self::GeometricMedian { .. }
            | Self::CentredClipping { .. } => 0,
        }
    }

    /// Whether it goes coordinate by coordinate, so that [`Absent`] says something.
    #[must_use]
    pub const fn is_by_coordinate(self) -> bool {
        match self {
            Self::Median | Self::TrimmedMean { .. } | Self::MeanAroundMedian { .. } | Self::SignMajority { .. } => true,
            Self::Average
            | Self::Krum { .. }
            | Self::MultiKrum { .. }
            | Self::GeometricMedian { .. }
            | Self::CentredClipping { .. } => false,
        }
    }
}

/// What a coordinate counts as that a peer did not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// Zero: every contribution has a value everywhere.
    #[default]
    Zero,
    /// Nothing: statistics are over those who sent the coordinate.
    Skip,
}
