//! Which cells go on after a rung.

use super::Work;
use super::one::rounds_at;
use crate::protocol::rows::EvaluationRow;
use crate::record::{RunDirectory, SweepDirectory};
use crate::scenario::sweep::Halving;

/// Marks the cells that are left behind at `rung`: all but the best share of those that were still going.
///
/// Equal cells go on in their order; a cell without a loss is the worst.
pub(super) fn stop_hopeless(
    halving: &Halving,
    rung: f64,
    directory: &SweepDirectory,
    works: &[Work],
    stopped: &mut [bool],
) {
    let mut losses: Vec<(f64, usize)> = Vec::new();
    for cell in (0..stopped.len()).filter(|&cell| !stopped[cell]) {
        let runs: Vec<f64> =
            works.iter().filter(|work| work.cell == cell).map(|work| loss_at(directory, work, rung)).collect();
        // A cell that equals an earlier one has no run of its own.
        if !runs.is_empty() {
            losses.push((runs.iter().sum::<f64>() / runs.len() as f64, cell));
        }
    }
    for cell in left_behind(losses, halving.keep) {
        stopped[cell] = true;
    }
}

fn left_behind(mut losses: Vec<(f64, usize)>, keep: f64) -> Vec<usize> {
    losses.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let kept = ((keep * losses.len() as f64).round() as usize).max(1).min(losses.len());
    losses[kept..].iter().map(|&(_, cell)| cell).collect()
}

/// The last validation loss up to the rung, also of a run that has come further in another session.
fn loss_at(directory: &SweepDirectory, work: &Work, rung: f64) -> f64 {
    let until = rounds_at(work, rung);
    let evaluations: Option<Vec<EvaluationRow>> =
        RunDirectory::open(&directory.run(&work.name)).ok().and_then(|run| run.read_table().ok());
    let last = evaluations.iter().flatten().take_while(|row| row.round <= until).last();
    last.map_or(f64::INFINITY, |row| if row.validation_loss.is_nan() { f64::INFINITY } else { row.validation_loss })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_half_is_left_behind() {
        let losses = vec![(2.0, 0), (f64::INFINITY, 1), (1.0, 2), (1.0, 3)];
        assert_eq!(left_behind(losses.clone(), 0.5), [0, 1]);
        assert_eq!(left_behind(losses[..1].to_vec(), 0.1), [0; 0], "the last cell goes on");
    }
}
