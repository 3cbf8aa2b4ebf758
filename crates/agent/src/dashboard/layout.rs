//! Widths of widgets, so that the lines of a row are even.

use bellwether_dashboards::{COLUMNS, Widget};
use bellwether_schema::Spanned;

use super::widget::per_line;

/// Orders the widgets of a row, and sets their widths: small ones first, so that a row opens with its
/// numbers, and full lines of similar length.
pub(super) fn even_lines(mut widgets: Vec<Widget>) -> Vec<Widget> {
    widgets.sort_by_key(|widget| widget.settings.size().1);
    for group in widgets.chunk_by_mut(|a, b| a.settings.size().1 == b.settings.size().1) {
        let most = group.iter().map(per_line).min().unwrap_or(1);
        let (count, lines) = (group.len(), group.len().div_ceil(most));
        for line in 0..lines {
            let widgets = &mut group[count * line / lines..count * (line + 1) / lines];
            let columns = |index: usize| COLUMNS as usize * index / widgets.len();
            let widths: Vec<usize> = (0..widgets.len())
                .map(|index| columns(index + 1) - columns(index))
                .collect();
            for (widget, width) in widgets.iter_mut().zip(widths) {
                widget.settings.width = Some(Spanned::nowhere(width as u32));
            }
        }
    }
    widgets
}

#[cfg(test)]
mod tests {
    use bellwether_dashboards::{WidgetSettings, WidgetType, arrange};

    use super::*;

    fn widget(kind: WidgetType) -> Widget {
        WidgetSettings::new(kind, "x").resolve(&|_| Vec::new())
    }

    #[test]
    fn lines_are_full_and_even() {
        let charts = (0..7).map(|_| widget(WidgetType::Line)).collect();
        let items = arrange(vec![(None, even_lines(charts))]);
        let places: Vec<_> = items
            .iter()
            .map(|item| (item.place.x, item.place.y, item.place.w))
            .collect();
        assert_eq!(
            places,
            [
                (0, 0, 12),
                (12, 0, 12),
                (0, 8, 12),
                (12, 8, 12),
                (0, 16, 8),
                (8, 16, 8),
                (16, 16, 8)
            ]
        );
    }

    #[test]
    fn small_widgets_stand_before_large_ones() {
        let kinds = [WidgetType::Line, WidgetType::Stat, WidgetType::Stat];
        let ordered = even_lines(kinds.map(widget).into());
        let heights: Vec<u32> = ordered
            .iter()
            .map(|widget| widget.settings.size().1)
            .collect();
        assert_eq!(heights, [4, 4, 8]);
    }
}
