//! Places panels in rows of Grafana's grid, 24 columns wide, without overlap.

use serde_json::{Value, json};

const COLUMNS: usize = 24;
const ROW_HEIGHT: usize = 1;

/// Panel without position and id.
pub(super) struct Drawn {
    /// Height in grid units. Neighbours of the same height share lines.
    pub(super) height: usize,
    /// Maximum number of panels of this kind in a line.
    pub(super) per_line: usize,
    /// JSON without `id` and `gridPos`.
    pub(super) json: Value,
}

/// Returns all panels in order, with `id` and `gridPos`; each row starts with its title.
pub(super) fn arrange(rows: Vec<(&str, Vec<Drawn>)>) -> Vec<Value> {
    let mut panels = Vec::new();
    let mut y = 0;
    for (title, mut drawn) in rows {
        let row = json!({"collapsed": false, "panels": [], "title": title, "type": "row"});
        place(&mut panels, row, (0, y), (COLUMNS, ROW_HEIGHT));
        y += ROW_HEIGHT;
        // Small ones first, so that a row opens with its numbers; the order within stays.
        drawn.sort_by_key(|panel| panel.height);
        for group in drawn.chunk_by(|a, b| a.height == b.height) {
            for line in lines(group) {
                for (index, panel) in line.iter().enumerate() {
                    let left = COLUMNS * index / line.len();
                    let right = COLUMNS * (index + 1) / line.len();
                    place(
                        &mut panels,
                        panel.json.clone(),
                        (left, y),
                        (right - left, panel.height),
                    );
                }
                y += line[0].height;
            }
        }
    }
    panels
}

/// Splits panels of one height into lines of similar length.
fn lines(group: &[Drawn]) -> Vec<&[Drawn]> {
    let most = group.iter().map(|panel| panel.per_line).min().unwrap_or(1);
    let count = group.len().div_ceil(most);
    (0..count)
        .map(|line| &group[group.len() * line / count..group.len() * (line + 1) / count])
        .collect()
}

fn place(
    panels: &mut Vec<Value>,
    mut panel: Value,
    (x, y): (usize, usize),
    (w, h): (usize, usize),
) {
    panel["id"] = json!(panels.len() + 1);
    panel["gridPos"] = json!({"x": x, "y": y, "w": w, "h": h});
    panels.push(panel);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(height: usize, per_line: usize) -> Drawn {
        Drawn {
            height,
            per_line,
            json: json!({}),
        }
    }

    #[test]
    fn lines_are_full_and_even() {
        let charts = (0..7).map(|_| drawn(8, 3)).collect();
        let panels = arrange(vec![("row", charts)]);
        let at = |i: usize, key: &str| panels[i]["gridPos"][key].as_u64().expect("number");
        assert_eq!((at(0, "w"), at(0, "h")), (24, 1));
        let widths: Vec<_> = (1..8)
            .map(|i| (at(i, "x"), at(i, "y"), at(i, "w")))
            .collect();
        assert_eq!(
            widths,
            [
                (0, 1, 12),
                (12, 1, 12),
                (0, 9, 12),
                (12, 9, 12),
                (0, 17, 8),
                (8, 17, 8),
                (16, 17, 8)
            ]
        );
    }

    #[test]
    fn small_panels_stand_before_large_ones() {
        let panels = arrange(vec![("row", vec![drawn(8, 3), drawn(4, 6), drawn(4, 6)])]);
        let heights: Vec<_> = panels
            .iter()
            .map(|panel| panel["gridPos"]["h"].as_u64().expect("number"))
            .collect();
        assert_eq!(heights, [1, 4, 4, 8]);
    }
}
