//! Values of columns. Pure: the types of the servers become numbers and texts.

pub(super) mod mysql;
pub(super) mod postgres;
pub(super) mod sqlite;

/// Value of a column in a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    /// Time since 1970 in UTC, or duration, in seconds.
    Seconds(f64),
    Text(String),
    /// Value of a type that is neither number nor text, with the name of the type.
    Other(String),
}

/// Longest label.
const LABEL_BYTES: usize = 1024;

impl Cell {
    /// Returns the number; `None` for a null.
    ///
    /// # Errors
    /// The reason why it is no number.
    pub(super) fn number(&self) -> Result<Option<f64>, String> {
        match self {
            Self::Null => Ok(None),
            Self::Bool(value) => Ok(Some(f64::from(u8::from(*value)))),
            Self::Integer(value) => Ok(Some(*value as f64)),
            Self::Float(value) | Self::Seconds(value) => Ok(Some(*value)),
            Self::Text(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| format!("not a number: {:?}", beginning(text))),
            Self::Other(name) => Err(cannot_read(name)),
        }
    }

    /// Returns the text of a label; empty for a null.
    ///
    /// # Errors
    /// The reason why it is no label.
    pub(super) fn label(&self) -> Result<String, String> {
        match self {
            Self::Null => Ok(String::new()),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Integer(value) => Ok(value.to_string()),
            Self::Float(value) | Self::Seconds(value) => Ok(value.to_string()),
            Self::Text(text) if text.len() > LABEL_BYTES => Err(format!(
                "a label of {} bytes: {:?}",
                text.len(),
                beginning(text)
            )),
            Self::Text(text) => Ok(text.clone()),
            Self::Other(name) => Err(cannot_read(name)),
        }
    }

    /// Returns about how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let text = match self {
            Self::Text(text) | Self::Other(text) => text.len(),
            _ => 0,
        };
        size_of::<Self>() + text
    }
}

fn cannot_read(name: &str) -> String {
    format!("a value of type {name}; hint: cast it to a number or a text in the query")
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(60)]
}

/// Returns the cell of a date and time in UTC.
fn time(seconds: i64, micros: u32) -> Cell {
    Cell::Seconds(seconds as f64 + f64::from(micros) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_texts_and_booleans_are_values() {
        for (cell, number, label) in [
            (Cell::Null, None, ""),
            (Cell::Bool(true), Some(1.0), "true"),
            (
                Cell::Integer(i128::from(u64::MAX)),
                Some(18446744073709551615.0),
                "18446744073709551615",
            ),
            (Cell::Text(" 1.5 ".into()), Some(1.5), " 1.5 "),
            (Cell::Seconds(2.0), Some(2.0), "2"),
        ] {
            assert_eq!(
                (cell.number(), cell.label()),
                (Ok(number), Ok(label.to_owned()))
            );
        }
    }

    #[test]
    fn an_error_names_the_type_or_the_text() {
        let text = Cell::Text("é".repeat(700));
        let error = text.number().unwrap_err();
        assert!(
            error.starts_with("not a number: \"é") && error.len() < 100,
            "{error}"
        );
        let error = text.label().unwrap_err();
        assert!(error.starts_with("a label of 1400 bytes: "), "{error}");
        let error = Cell::Other("BYTEA".into()).number().unwrap_err();
        assert!(
            error.starts_with("a value of type BYTEA; hint: cast it"),
            "{error}"
        );
    }
}
