//! Labels of targets and of their series, as Prometheus makes them (`scrape/target.go`). Pure.

use std::collections::BTreeMap;

use bellwether_core::{LabelSet, Labels};
use bellwether_relabel::Relabel;
use reqwest::Url;

/// Settings of targets that all of a collector share.
#[derive(Debug)]
pub(super) struct TargetRules {
    pub(super) job: String,
    pub(super) scheme: String,
    pub(super) metrics_path: String,
    pub(super) params: BTreeMap<String, Vec<String>>,
    pub(super) relabel: Relabel,
}

/// Addresses with the labels that they share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) targets: Vec<String>,
    pub(super) labels: Labels,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) url: String,
    /// Labels of all its series, `job` and `instance` among them.
    pub(super) labels: LabelSet,
}

impl TargetRules {
    /// Returns the target at `address`; `None` if relabeling drops it.
    ///
    /// # Errors
    /// The address is invalid, in one sentence.
    pub(super) fn target(&self, address: &str, shared: &Labels) -> Result<Option<Target>, String> {
        let mut labels = Labels::from([
            ("job".to_owned(), self.job.clone()),
            ("__address__".to_owned(), address.to_owned()),
            ("__scheme__".to_owned(), self.scheme.clone()),
            ("__metrics_path__".to_owned(), self.metrics_path.clone()),
        ]);
        for (name, values) in &self.params {
            if let Some(value) = values.first() {
                labels.insert(format!("__param_{name}"), value.clone());
            }
        }
        labels.extend(shared.clone());
        let Some(labels) = self.relabel.apply(&LabelSet::new(labels)) else {
            return Ok(None);
        };
        let address = labels.get("__address__");
        if address.is_empty() {
            return Ok(None);
        }
        let url = self.url(address, &labels)?;
        let own = labels.iter().filter(|(label, _)| !label.starts_with("__"));
        let instance = [("instance", address)];
        let labels = LabelSet::new(instance.into_iter().chain(own));
        Ok(Some(Target { url, labels }))
    }

    fn url(&self, address: &str, labels: &LabelSet) -> Result<String, String> {
        let scheme = labels.get("__scheme__");
        if !matches!(scheme, "http" | "https") {
            return Err(format!(
                "{address}: not a scheme: {scheme:?}; hint: http or https"
            ));
        }
        let invalid = || format!("not an address: {address:?}; hint: HOST:PORT");
        let mut url = Url::parse(&format!("{scheme}://{address}")).map_err(|_| invalid())?;
        let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !is_plain || !url.username().is_empty() || address.ends_with('/') {
            return Err(invalid());
        }
        url.set_path(labels.get("__metrics_path__"));
        let mut params = self.params.clone();
        for (label, value) in labels.iter() {
            if let Some(name) = label.strip_prefix("__param_") {
                let values = params.entry(name.to_owned()).or_default();
                values.splice(..values.len().min(1), [value.to_owned()]);
            }
        }
        if !params.is_empty() {
            let pairs = params
                .iter()
                .flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Ok(url.into())
    }
}

/// Returns the labels of a series that its target exposes with `exposed`. A label that both have is the target's,
/// and that of the series is renamed to `exported_NAME`; with `honor` it is that of the series.
pub(super) fn merged(exposed: &LabelSet, target: &LabelSet, honor: bool) -> LabelSet {
    if honor {
        return LabelSet::new(target.iter().chain(exposed.iter()));
    }
    let mut labels: BTreeMap<String, &str> = BTreeMap::new();
    let mut conflicting = Vec::new();
    for (label, value) in exposed.iter() {
        match target.get(label).is_empty() {
            true => drop(labels.insert(label.to_owned(), value)),
            false => conflicting.push((label, value)),
        }
    }
    for (label, value) in target.iter() {
        labels.insert(label.to_owned(), value);
    }
    for (label, value) in conflicting {
        let mut name = format!("exported_{label}");
        while labels.contains_key(&name) || !exposed.get(&name).is_empty() {
            name = format!("exported_{name}");
        }
        labels.insert(name, value);
    }
    LabelSet::new(labels)
}

#[cfg(test)]
mod tests {
    use bellwether_relabel::RelabelConfig;
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

    use super::*;

    fn rules(steps: &str) -> TargetRules {
        let mut problems = Diagnostics::default();
        let mut context = DecodeContext::new(&mut problems, &|_| None);
        let steps = Vec::<RelabelConfig>::decode(&parse(steps).unwrap(), &mut context).unwrap();
        TargetRules {
            job: "node".into(),
            scheme: "http".into(),
            metrics_path: "/metrics".into(),
            params: BTreeMap::new(),
            relabel: Relabel::new(&steps).unwrap(),
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_target_has_job_and_instance_and_its_own_labels() {
        let shared = labels(&[("zone", "a"), ("__meta_x", "hidden")]);
        let target = rules("[]").target("h:9100", &shared).unwrap().unwrap();
        assert_eq!(target.url, "http://h:9100/metrics");
        assert_eq!(
            target.labels.to_string(),
            "{instance=\"h:9100\", job=\"node\", zone=\"a\"}"
        );
    }

    #[test]
    fn relabeling_makes_a_target_of_a_probe_exporter() {
        let rules = TargetRules {
            params: BTreeMap::from([("module".into(), vec!["icmp".into()])]),
            ..rules(
                "[{source_labels: [__address__], target_label: __param_target},
                  {source_labels: [__param_target], target_label: instance},
                  {target_label: __address__, replacement: 'prober:9115'},
                  {target_label: __metrics_path__, replacement: /probe}]",
            )
        };
        let target = rules.target("x y", &Labels::new()).unwrap().unwrap();
        assert_eq!(
            target.url,
            "http://prober:9115/probe?module=icmp&target=x+y"
        );
        assert_eq!(target.labels.get("instance"), "x y");
    }

    #[test]
    fn relabeling_drops_targets() {
        let rules = rules("[{source_labels: [__meta_env], regex: test, action: drop}]");
        let dropped = rules.target("h:1", &labels(&[("__meta_env", "test")]));
        assert_eq!(dropped, Ok(None));
    }

    #[test]
    fn an_address_is_a_host_with_a_port() {
        for address in [
            "http://h:1",
            "h:1/metrics",
            "h:1?x",
            "u@h:1",
            "",
            "h:1/",
            "h:x",
        ] {
            let target = rules("[]").target(address, &Labels::new());
            match address {
                "" => assert_eq!(target, Ok(None)),
                _ => assert!(target.unwrap_err().contains("hint: HOST:PORT"), "{address}"),
            }
        }
        for address in ["h", "[::1]:9100", "1.2.3.4:80"] {
            assert!(rules("[]").target(address, &Labels::new()).is_ok());
        }
        let other = rules("[{target_label: __scheme__, replacement: ftp}]");
        let error = other.target("h", &Labels::new()).unwrap_err();
        assert!(error.contains("not a scheme"), "{error}");
    }

    #[test]
    fn labels_of_the_target_win_unless_those_of_the_series_are_honored() {
        let target = LabelSet::new([("instance", "h:1"), ("job", "node")]);
        let exposed = LabelSet::new([
            ("__name__", "a"),
            ("exported_job", "x"),
            ("job", "own"),
            ("b", "1"),
        ]);
        assert_eq!(
            merged(&exposed, &target, false).to_string(),
            "a{b=\"1\", exported_exported_job=\"own\", exported_job=\"x\", instance=\"h:1\", job=\"node\"}"
        );
        assert_eq!(
            merged(&exposed, &target, true).to_string(),
            "a{b=\"1\", exported_job=\"x\", instance=\"h:1\", job=\"own\"}"
        );
    }
}
