//! Values of PostgreSQL in binary form: the `send` functions of its types, and
//! <https://www.postgresql.org/docs/current/protocol-overview.html>.

use sqlx::postgres::{PgTypeKind, PgValueRef};
use sqlx::{TypeInfo, ValueRef};

use super::Cell;

/// 2000-01-01 in seconds since 1970, from which PostgreSQL counts.
const EPOCH: f64 = 946_684_800.0;
const DAY: f64 = 86_400.0;

/// Converts a value.
pub(crate) fn cell(value: &PgValueRef<'_>) -> Cell {
    let Ok(bytes) = value.as_bytes() else {
        return Cell::Null;
    };
    let info = value.type_info();
    let name = match info.kind() {
        PgTypeKind::Enum(_) => "TEXT",
        _ => info.name(),
    };
    decode(name, bytes).unwrap_or_else(|| Cell::Other(info.name().to_owned()))
}

fn decode(name: &str, bytes: &[u8]) -> Option<Cell> {
    Some(match name {
        "BOOL" => Cell::Bool(bytes != [0]),
        "INT2" => Cell::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        "INT4" => Cell::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        "INT8" => Cell::Integer(integer(bytes)?.into()),
        "OID" | "xid" | "cid" => Cell::Integer(u32::from_be_bytes(bytes.try_into().ok()?).into()),
        "xid8" | "pg_lsn" => Cell::Integer(u64::from_be_bytes(bytes.try_into().ok()?).into()),
        "FLOAT4" => Cell::Float(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        "FLOAT8" => Cell::Float(f64::from_be_bytes(bytes.try_into().ok()?)),
        "NUMERIC" => Cell::Text(numeric(bytes)?),
        "TIMESTAMP" | "TIMESTAMPTZ" => Cell::Seconds(EPOCH + seconds(integer(bytes)?)),
        "DATE" => {
            let days = i32::from_be_bytes(bytes.try_into().ok()?);
            Cell::Seconds(EPOCH + f64::from(days) * DAY)
        }
        "TIME" => Cell::Seconds(seconds(integer(bytes)?)),
        "INTERVAL" => Cell::Seconds(interval(bytes)?),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" | "\"CHAR\"" | "citext" => {
            Cell::Text(std::str::from_utf8(bytes).ok()?.to_owned())
        }
        "UUID" => Cell::Text(uuid(bytes)?),
        _ => return None,
    })
}

fn integer(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}

/// Converts microseconds. The largest and the smallest stand for infinity.
fn seconds(micros: i64) -> f64 {
    match micros {
        i64::MAX => f64::INFINITY,
        i64::MIN => f64::NEG_INFINITY,
        micros => micros as f64 / 1e6,
    }
}

/// Converts microseconds, days and months as `extract(epoch from ...)` does: a year has 365.25 days, a month 30.
fn interval(bytes: &[u8]) -> Option<f64> {
    let (micros, rest) = bytes.split_first_chunk::<8>()?;
    let (days, months) = rest.split_first_chunk::<4>()?;
    let days = f64::from(i32::from_be_bytes(*days));
    let months = i32::from_be_bytes(months.try_into().ok()?);
    let of_months = f64::from(months / 12) * 365.25 + f64::from(months % 12) * 30.0;
    Some(i64::from_be_bytes(*micros) as f64 / 1e6 + (days + of_months) * DAY)
}

/// Converts a number to base 10,000: count of digits, weight of the first, sign, decimal places, digits.
fn numeric(bytes: &[u8]) -> Option<String> {
    let mut words = bytes
        .chunks_exact(2)
        .map(|word| u16::from_be_bytes([word[0], word[1]]));
    let (_, weight, sign, scale) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let sign = match sign {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("inf".to_owned()),
        0xF000 => return Some("-inf".to_owned()),
        0x4000 => "-",
        _ => "",
    };
    let weight = i32::from(weight.cast_signed());
    let digits: Vec<u16> = words.collect();
    let text = |from: i32, to: i32| -> String {
        let digit = |at: i32| usize::try_from(at).ok().and_then(|at| digits.get(at));
        (from..to)
            .map(|at| format!("{:04}", digit(at).copied().unwrap_or_default()))
            .collect()
    };
    let whole = text(0, weight + 1);
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let mut places = text(weight + 1, weight + 1 + i32::from(scale.div_ceil(4)));
    places.truncate(scale.into());
    let point = if places.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{places}"))
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let value = u128::from_be_bytes(bytes.try_into().ok()?);
    let hex = format!("{value:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Some(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_words(words: &[u16]) -> String {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        numeric(&bytes).unwrap()
    }

    #[test]
    fn numerics_are_exact() {
        let below = -1_i16 as u16;
        for (words, text) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[2, 1, 0, 0, 12, 34], "120034"),
            (&[3, 1, 0x4000, 3, 1, 0, 5000], "-10000.500"),
            (&[1, below, 0, 4, 25], "0.0025"),
            (&[1, below - 1, 0, 6, 100], "0.000001"),
            (&[1, 2, 0, 0, 7], "700000000"),
            (&[0, 0, 0xC000, 0], "NaN"),
            (&[0, 0, 0xF000, 0], "-inf"),
        ] {
            assert_eq!(of_words(words), text);
        }
    }

    #[test]
    fn times_are_seconds() {
        let micros = 1_500_000_i64.to_be_bytes();
        assert_eq!(
            decode("TIMESTAMPTZ", &micros),
            Some(Cell::Seconds(EPOCH + 1.5))
        );
        let forever = decode("TIMESTAMP", &i64::MAX.to_be_bytes());
        assert_eq!(forever, Some(Cell::Seconds(f64::INFINITY)));
        let day = decode("DATE", &1_i32.to_be_bytes());
        assert_eq!(day, Some(Cell::Seconds(EPOCH + 86_400.0)));
        let mut interval = micros.to_vec();
        interval.extend(2_i32.to_be_bytes());
        interval.extend(13_i32.to_be_bytes());
        let seconds = 1.5 + (2.0 + 365.25 + 30.0) * 86_400.0;
        assert_eq!(decode("INTERVAL", &interval), Some(Cell::Seconds(seconds)));
    }

    #[test]
    fn what_does_not_fit_its_type_is_no_value() {
        for name in [
            "INT2", "INT8", "FLOAT8", "NUMERIC", "INTERVAL", "UUID", "BYTEA",
        ] {
            assert_eq!(decode(name, &[1]), None, "{name}");
        }
        assert_eq!(decode("TEXT", &[0xff]), None);
    }
}
