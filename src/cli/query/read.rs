//! Parses responses of Prometheus's API. Pure.

use anyhow::{Context, bail};
use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::{Answer, Sample, SampledSeries, Value};
use serde_json::Value as Json;

/// Parses the body of a response.
pub(super) fn answer(text: &str) -> anyhow::Result<Answer> {
    let body: Json = serde_json::from_str(text).context("not a response of Prometheus's API")?;
    let value = value(&body["data"]).context("not the result of a query")?;
    Ok(Answer {
        value,
        warnings: texts(&body["warnings"]),
        infos: texts(&body["infos"]),
    })
}

/// Formats the error of a failed query in one line, with a hint.
pub(super) fn error(status: u16, body: &str) -> String {
    let body_json: Json = serde_json::from_str(body).unwrap_or_default();
    match body_json["error"].as_str() {
        Some(error) => error.to_owned(),
        None => format!("{status}: {}", body.trim()),
    }
}

/// Reads a list of texts.
fn texts(list: &Json) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts.filter_map(Json::as_str).map(str::to_owned).collect()
}

fn value(data: &Json) -> anyhow::Result<Value> {
    let result = &data["result"];
    Ok(match data["resultType"].as_str() {
        Some("scalar") => {
            let (at, value) = point(result)?;
            Value::Scalar {
                at: UnixMillis(at),
                value,
            }
        }
        Some("string") => Value::String {
            at: UnixMillis(time(&result[0])?),
            text: result[1].as_str().unwrap_or_default().to_owned(),
        },
        Some("vector") => Value::Vector(
            list(result)?
                .iter()
                .map(|item| {
                    let (at, value) = point(&item["value"])?;
                    anyhow::Ok(Sample {
                        labels: labels(&item["metric"])?,
                        at: UnixMillis(at),
                        value,
                    })
                })
                .collect::<Result<_, _>>()?,
        ),
        Some("matrix") => Value::Matrix(
            list(result)?
                .iter()
                .map(|item| {
                    let points: Vec<(i64, f64)> = item["values"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(point)
                        .collect::<Result<_, _>>()?;
                    let (times, values) = points.into_iter().unzip();
                    anyhow::Ok(SampledSeries {
                        labels: labels(&item["metric"])?,
                        times,
                        values,
                    })
                })
                .collect::<Result<_, _>>()?,
        ),
        _ => bail!("no result"),
    })
}

fn labels(json: &Json) -> anyhow::Result<LabelSet> {
    let labels = json.as_object().context("no labels")?;
    Ok(LabelSet::new(labels.iter().map(|(name, value)| {
        (name, value.as_str().unwrap_or_default())
    })))
}

fn list(result: &Json) -> anyhow::Result<&Vec<Json>> {
    result.as_array().context("no list")
}

fn point(json: &Json) -> anyhow::Result<(i64, f64)> {
    let value = json[1].as_str().and_then(|text| text.parse().ok());
    Ok((time(&json[0])?, value.context("no value")?))
}

fn time(json: &Json) -> anyhow::Result<i64> {
    let seconds = json.as_f64().context("no time")?;
    Ok((seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use bellwether_server::answer_json;

    use super::*;

    #[test]
    fn what_the_server_writes_is_read_back() {
        let up = LabelSet::new([("__name__", "up"), ("job", "a\"\n")]);
        for value in [
            Value::Scalar {
                at: UnixMillis(1500),
                value: 1e-10,
            },
            Value::String {
                at: UnixMillis(0),
                text: "a".into(),
            },
            Value::Vector(vec![Sample {
                labels: up.clone(),
                at: UnixMillis(1),
                value: f64::INFINITY,
            }]),
            Value::Matrix(vec![SampledSeries {
                labels: up,
                times: vec![1_435_781_430_781, 1_435_781_430_782],
                values: vec![0.1, -2e300],
            }]),
        ] {
            let written = Answer {
                value,
                warnings: vec!["w".into()],
                infos: vec!["i".into()],
            };
            let text = String::from_utf8(answer_json(written.clone())).unwrap();
            assert_eq!(answer(&text).unwrap(), written);
        }
        for bad in [
            "",
            "{}",
            "<html>",
            r#"{"data":{"resultType":"vector","result":[{}]}}"#,
        ] {
            assert!(answer(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_is_reported_with_its_hint() {
        assert_eq!(
            error(422, r#"{"error":"too much; hint: less"}"#),
            "too much; hint: less"
        );
        assert_eq!(error(502, "bad gateway\n"), "502: bad gateway");
    }
}
