//! What nothing beats.

/// For each point whether no other is at least as good in everything and better in something; smaller is better.
pub(super) fn front<const N: usize>(points: &[[f64; N]]) -> Vec<bool> {
    let beats = |a: &[f64; N], b: &[f64; N]| a.iter().zip(b).all(|(a, b)| a <= b) && a != b;
    points.iter().map(|point| !points.iter().any(|other| beats(other, point))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_something_beats_is_not_on_the_front() {
        let points = [[1.0, 5.0], [2.0, 2.0], [3.0, 2.0], [5.0, 1.0], [1.0, 5.0]];
        assert_eq!(front(&points), [true, true, false, true, true]);
    }
}
