//! Values of MySQL and MariaDB in binary form:
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use sqlx::mysql::MySqlValueRef;
use sqlx::{Decode, TypeInfo, ValueRef};

use super::{Cell, time};

/// Converts a value. A date of zeros counts as null.
pub(crate) fn cell(value: MySqlValueRef<'_>) -> Cell {
    if value.is_null() {
        return Cell::Null;
    }
    let name = value.type_info().name().to_owned();
    let bytes = <&[u8] as Decode<sqlx::MySql>>::decode(value).unwrap_or_default();
    decode(&name, bytes).unwrap_or(Cell::Other(name))
}

fn decode(name: &str, bytes: &[u8]) -> Option<Cell> {
    Some(match name {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => {
            Cell::Integer(signed(bytes)?)
        }
        "YEAR" => Cell::Integer(unsigned(bytes.iter().rev())),
        "BIT" => Cell::Integer(unsigned(bytes.iter())),
        _ if name.ends_with(" UNSIGNED") => Cell::Integer(unsigned(bytes.iter().rev())),
        "FLOAT" => Cell::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        "DOUBLE" => Cell::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
        "DATE" | "DATETIME" | "TIMESTAMP" => date_time(bytes.get(1..)?)?,
        "TIME" => Cell::Seconds(duration(bytes.get(1..)?)?),
        "NULL" | "GEOMETRY" => return None,
        _ => Cell::Text(std::str::from_utf8(bytes).ok()?.to_owned()),
    })
}

/// Reads bytes whose first is the highest.
fn unsigned<'a>(bytes: impl Iterator<Item = &'a u8>) -> i128 {
    bytes.fold(0, |value, byte| (value << 8) | i128::from(*byte))
}

/// Reads bytes whose last is the highest, with its sign.
fn signed(bytes: &[u8]) -> Option<i128> {
    let is_negative = bytes.last()? & 0x80 != 0;
    let size = i128::from(is_negative) << (8 * bytes.len());
    Some(unsigned(bytes.iter().rev()) - size)
}

/// Reads year, month and day, hour, minute and second, and microseconds, of which zeros at the end are left out.
fn date_time(bytes: &[u8]) -> Option<Cell> {
    let mut all = [0; 11];
    all.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let [y0, y1, month, day, hour, minute, second, micros @ ..] = all;
    let signed = u8::cast_signed;
    let date = Date::new(i16::from_le_bytes([y0, y1]), signed(month), signed(day));
    let at = Time::new(signed(hour), signed(minute), signed(second), 0);
    let at = date.ok()?.to_datetime(at.ok()?);
    let at = TimeZone::UTC.to_timestamp(at).ok()?;
    Some(time(at.as_second(), u32::from_le_bytes(micros)))
}

/// Reads sign, days, hours, minutes, seconds and microseconds, of which zeros at the end are left out.
fn duration(bytes: &[u8]) -> Option<f64> {
    let mut all = [0; 12];
    all.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let [
        negative,
        d0,
        d1,
        d2,
        d3,
        hours,
        minutes,
        seconds,
        micros @ ..,
    ] = all;
    let days = f64::from(u32::from_le_bytes([d0, d1, d2, d3]));
    let hours = days * 24.0 + f64::from(hours);
    let seconds = (hours * 60.0 + f64::from(minutes)) * 60.0 + f64::from(seconds);
    let seconds = seconds + f64::from(u32::from_le_bytes(micros)) / 1e6;
    Some(if negative == 0 { seconds } else { -seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_their_sign_and_width() {
        for (name, bytes, value) in [
            ("TINYINT", &[0xff][..], -1),
            ("TINYINT UNSIGNED", &[0xff], 255),
            (
                "BIGINT",
                &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                -2,
            ),
            ("BIGINT UNSIGNED", &[0xff; 8], i128::from(u64::MAX)),
            ("INT", &[0, 1, 0, 0], 256),
            ("BIT", &[1, 0], 256),
            ("YEAR", &[0xea, 0x07], 2026),
        ] {
            assert_eq!(decode(name, bytes), Some(Cell::Integer(value)), "{name}");
        }
    }

    #[test]
    fn times_are_seconds() {
        let date = [4, 0xea, 0x07, 1, 2];
        assert_eq!(decode("DATE", &date), Some(Cell::Seconds(1_767_312_000.0)));
        let exact = [11, 0xea, 0x07, 1, 2, 0, 0, 3, 0x20, 0xa1, 0x07, 0];
        let expected = Some(Cell::Seconds(1_767_312_003.5));
        assert_eq!(decode("DATETIME", &exact), expected);
        let time = [8, 1, 1, 0, 0, 0, 1, 0, 1];
        assert_eq!(decode("TIME", &time), Some(Cell::Seconds(-90_001.0)));
        assert_eq!(decode("TIME", &[0]), Some(Cell::Seconds(0.0)));
        assert_eq!(decode("DATE", &[4, 0, 0, 13, 1]), None);
        assert_eq!(decode("DATETIME", &[13; 14]), None);
    }

    #[test]
    fn texts_and_decimals_are_texts() {
        let decimal = decode("DECIMAL", b"12.50");
        assert_eq!(decimal, Some(Cell::Text("12.50".to_owned())));
        assert_eq!(decode("BLOB", &[0xff]), None);
        assert_eq!(decode("DOUBLE", &[0]), None);
    }
}
