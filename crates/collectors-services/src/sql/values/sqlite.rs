//! Values of SQLite, whose types are those of the values: <https://www.sqlite.org/datatype3.html>.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sqlx::sqlite::SqliteValueRef;
use sqlx::{Decode, Sqlite, TypeInfo, ValueRef};

use super::{Cell, time};

/// Converts a value of a column with the declared type `column`.
pub(crate) fn cell(value: SqliteValueRef<'_>, column: &str) -> Cell {
    if value.is_null() {
        return Cell::Null;
    }
    let name = value.type_info().name().to_owned();
    let decoded = match name.as_str() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(value)
            .ok()
            .map(|integer| Cell::Integer(integer.into())),
        "REAL" => <f64 as Decode<Sqlite>>::decode(value).ok().map(Cell::Float),
        "TEXT" => <String as Decode<Sqlite>>::decode(value)
            .ok()
            .map(|text| of_text(text, column)),
        _ => None,
    };
    decoded.unwrap_or(Cell::Other(name))
}

/// Converts a text, which is a time where the column is declared as one.
fn of_text(text: String, column: &str) -> Cell {
    let date_time = match column {
        "DATE" | "DATETIME" => text.parse::<DateTime>().ok(),
        _ => None,
    };
    let seconds = date_time.and_then(|at| TimeZone::UTC.to_timestamp(at).ok());
    match seconds {
        Some(at) => time(at.as_second(), at.subsec_microsecond().unsigned_abs()),
        None => Cell::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_columns_of_dates_are_seconds() {
        for (text, column, expected) in [
            (
                "2026-01-02 00:00:03.5",
                "DATETIME",
                Cell::Seconds(1_767_312_003.5),
            ),
            ("2026-01-02", "DATE", Cell::Seconds(1_767_312_000.0)),
            ("2026-01-02", "TEXT", Cell::Text("2026-01-02".into())),
            ("soon", "DATETIME", Cell::Text("soon".into())),
        ] {
            assert_eq!(of_text(text.to_owned(), column), expected);
        }
    }
}
