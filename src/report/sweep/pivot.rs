//! Two axes of a sweep as rows and columns, the other axes at the baseline cell's values.

use super::{SweepReport, Swept, measure, title};
use crate::report::axis::label;

/// Rows and columns.
pub(super) struct Pivot<'a> {
    report: &'a SweepReport,
    /// The axis of the rows and that of the columns.
    pub(super) axes: [usize; 2],
}

impl<'a> Pivot<'a> {
    /// The first two axes with more than one value, numeric ones first; `None` if there are not two, or no whole grid.
    pub(super) fn of(report: &'a SweepReport) -> Option<Self> {
        let wide: Vec<usize> = (0..report.axes().len()).filter(|&axis| report.axes()[axis].values.len() > 1).collect();
        let numeric: Vec<usize> = wide.iter().copied().filter(|&axis| report.axes()[axis].unit.is_some()).collect();
        let chosen = if numeric.len() >= 2 { numeric } else { wide };
        match chosen.as_slice() {
            [rows, columns, ..] if report.is_grid() => Some(Self { report, axes: [*rows, *columns] }),
            _ => None,
        }
    }

    /// The labels of the rows' or the columns' values.
    pub(super) fn labels(&self, side: usize) -> Vec<String> {
        let axis = &self.report.axes()[self.axes[side]];
        let text = |value: &crate::scenario::sweep::AxisValue| match (measure(axis), value.number) {
            (Some(measure), Some(number)) if measure != super::Measure::Number => label(measure, number),
            _ => value.label.clone(),
        };
        axis.values.iter().map(text).collect()
    }

    /// The name of the rows' or the columns' axis.
    pub(super) fn title(&self, side: usize) -> String {
        title(&self.report.axes()[self.axes[side]])
    }

    /// The cell in a row and a column.
    pub(super) fn cell(&self, row: usize, column: usize) -> Option<&'a Swept> {
        let mut at = self.report.baseline().at.clone();
        at[self.axes[0]] = row;
        at[self.axes[1]] = column;
        self.report.cell_at(&at)
    }

    /// The baseline cell's row and column.
    pub(super) fn baseline(&self) -> [usize; 2] {
        self.axes.map(|axis| self.report.baseline().at[axis])
    }

    /// The values of the other axes, if there are any: `clip = none`.
    pub(super) fn others(&self) -> Option<String> {
        let is_other = |index: &usize| !self.axes.contains(index) && self.report.axes()[*index].values.len() > 1;
        let value = |index: usize| {
            let axis = &self.report.axes()[index];
            format!("{} = {}", title(axis), axis.values[self.report.baseline().at[index]].label)
        };
        let others: Vec<String> = (0..self.report.axes().len()).filter(is_other).map(value).collect();
        (!others.is_empty()).then(|| others.join(", "))
    }
}
