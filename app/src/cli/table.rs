//! Aligned columns, cut to the width of the terminal.

/// Space between two columns.
const GAP: usize = 2;
/// A column is not cut to less than this.
const LEAST: usize = 8;

/// A table: a head, rows, and one column that gives way when lines get too long.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: &'static [usize],
    elastic: usize,
}

impl Table {
    /// A table with these column heads; the column number `elastic` is cut first.
    pub(super) fn new(head: &[&str], elastic: usize) -> Self {
        Self {
            rows: vec![head.iter().map(|&text| text.to_owned()).collect()],
            right: &[],
            elastic,
        }
    }

    /// Columns of numbers, aligned on the right.
    pub(super) fn right(mut self, columns: &'static [usize]) -> Self {
        self.right = columns;
        self
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Reports if there is nothing but the head.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table as lines of at most `width` columns, each with `indent` spaces in front.
    pub(super) fn render(&self, width: Option<usize>, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| display_width(cell)).max().unwrap_or(0)
            })
            .collect();
        let total = indent + widths.iter().sum::<usize>() + GAP * columns.saturating_sub(1);
        let excess = width.map_or(0, |width| total.saturating_sub(width));
        if let Some(elastic) = widths.get_mut(self.elastic) {
            *elastic = elastic.saturating_sub(excess).max(LEAST.min(*elastic));
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let cell = cut(cell, width);
                let padding = " ".repeat(width.saturating_sub(display_width(&cell)));
                let gap = if column == 0 { 0 } else { GAP };
                line.push_str(&" ".repeat(gap));
                if self.right.contains(&column) {
                    line.push_str(&padding);
                    line.push_str(&cell);
                } else {
                    line.push_str(&cell);
                    line.push_str(&padding);
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// The text, or its beginning and `…` where it has more than `width` columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += char_width(c);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Columns a terminal needs for a text.
pub(super) fn display_width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Names are mostly ASCII; this also knows East Asian wide characters
/// and pictures take two columns, marks on the letter before none.
fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2b1b..=0x2b1c
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f7e0..=0x1f7eb
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "SLOTS", "NOTE"], 2).right(&[1]);
        table.row(vec![
            "備份".into(),
            "1".into(),
            "a note that goes on and on".into(),
        ]);
        table.row(vec!["default".into(), "12".into(), "🟩 fine".into()]);
        table
    }

    #[test]
    fn columns_stand_under_each_other() {
        assert_eq!(
            table().render(None, 0),
            "NAME     SLOTS  NOTE\n\
             備份         1  a note that goes on and on\n\
             default     12  🟩 fine\n"
        );
    }

    #[test]
    fn the_elastic_column_gives_way_and_no_other() {
        let text = table().render(Some(30), 2);
        assert!(text.lines().all(|line| display_width(line) <= 30), "{text}");
        assert!(text.contains("  備份         1  a note that…\n"), "{text}");
        assert!(text.contains("default     12  🟩 fine"), "{text}");
    }

    #[test]
    fn a_cut_counts_columns_not_bytes() {
        assert_eq!(cut("🟩🟩🟩🟩", 5), "🟩🟩…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }
}
