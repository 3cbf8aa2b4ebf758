//! Relabeling as in Prometheus (`model/relabel/relabel.go`): settings, checks, and the steps on one series. Pure.

#![warn(missing_docs)]

use std::collections::BTreeMap;

use bellwether_core::LabelSet;
use bellwether_matcher::{Pattern, Replacement};
use bellwether_schema::{Diagnostics, Literal, SourceLocation, Spanned};

bellwether_schema::string_enum! {
    /// Action of a relabeling step.
    pub enum RelabelAction {
        /// Sets `target_label` to `replacement` where `regex` matches.
        Replace = "replace",
        /// Keeps only series that `regex` matches.
        Keep = "keep",
        /// Drops series that `regex` matches.
        Drop = "drop",
        /// Keeps only series whose `target_label` equals the source labels.
        KeepEqual = "keepequal",
        /// Drops series whose `target_label` equals the source labels.
        DropEqual = "dropequal",
        /// Sets `target_label` to a hash of the source labels, modulo `modulus`.
        HashMod = "hashmod",
        /// Copies labels whose name `regex` matches to the name `replacement`.
        LabelMap = "labelmap",
        /// Removes labels whose name `regex` matches.
        LabelDrop = "labeldrop",
        /// Removes labels whose name `regex` does not match.
        LabelKeep = "labelkeep",
        /// Sets `target_label` to the source labels in lower case.
        Lowercase = "lowercase",
        /// Sets `target_label` to the source labels in upper case.
        Uppercase = "uppercase",
    }
}

bellwether_schema::section! {
    /// A relabeling step, as `relabel_config` of Prometheus. The name of a series is its label
    /// `__name__`.
    pub struct RelabelConfig {
        /// Labels whose values are joined by `separator` and matched.
        pub source_labels: Vec<String> = Vec::new(),
        /// Separator of the joined values.
        pub separator: String = ";".into(),
        /// Regular expression that must match the joined values (or the name of a label) as a whole.
        pub regex: Spanned<Literal> = Spanned::nowhere(Literal("(.*)".into())),
        /// Modulus of `hashmod`.
        pub modulus: u64 = 0,
        /// Label that is set or compared; `replace` expands `$1` and `${name}` of the match.
        pub target_label: Literal = Literal(String::new()),
        /// Value that is set, with `$1` and `${name}` of the match expanded; empty removes the label.
        pub replacement: Literal = Literal("$1".into()),
        /// Action of the step.
        pub action: RelabelAction = RelabelAction::Replace,
    }
}

use RelabelAction as Action;

impl RelabelConfig {
    /// Validates one step as Prometheus does, and reports errors.
    pub fn check(&self, at: &SourceLocation, diagnostics: &mut Diagnostics) {
        if let Err(error) = Pattern::new(&self.regex) {
            diagnostics.error(
                &self.regex.at,
                format!("invalid regular expression: {error}"),
            );
        }
        if self.action == Action::HashMod && self.modulus == 0 {
            diagnostics
                .error(at, "hashmod without `modulus`")
                .hint("set it to 1 or more");
        }
        self.check_target(at, diagnostics);
        self.check_unused(at, diagnostics);
    }

    fn check_target(&self, at: &SourceLocation, diagnostics: &mut Diagnostics) {
        match self.action {
            Action::Replace
            | Action::HashMod
            | Action::Lowercase
            | Action::Uppercase
            | Action::KeepEqual
            | Action::DropEqual
                if self.target_label.is_empty() =>
            {
                let word = self.action.as_str();
                diagnostics
                    .error(at, format!("{word} without `target_label`"))
                    .hint("set it to the label that is set or compared");
            }
            _ => {}
        }
    }

    /// Reports settings that the action does not use.
    fn check_unused(&self, at: &SourceLocation, diagnostics: &mut Diagnostics) {
        let (unused, allowed) = match self.action {
            Action::LabelDrop | Action::LabelKeep => (
                !self.source_labels.is_empty() || !self.target_label.is_empty(),
                "`regex` alone",
            ),
            Action::KeepEqual | Action::DropEqual => (
                &**self.regex != "(.*)",
                "`source_labels` and `target_label` alone",
            ),
            _ => return,
        };
        if unused {
            let word = self.action.as_str();
            diagnostics
                .error(at, format!("{word} allows {allowed}"))
                .hint("remove the others");
        }
    }
}

/// Error of compiling a relabelling step: an invalid regular expression, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RelabelError(String);

/// Compiled relabeling steps.
#[derive(Debug, Default)]
pub struct Relabel(Vec<(RelabelConfig, Pattern)>);

impl Relabel {
    /// Compiles `steps`, which are applied in their order.
    ///
    /// # Errors
    /// Returns an error if a regular expression is invalid.
    pub fn new<'a>(
        steps: impl IntoIterator<Item = &'a RelabelConfig>,
    ) -> Result<Self, RelabelError> {
        let compiled = steps.into_iter().map(|step| {
            let regex = Pattern::new(&step.regex);
            let regex = regex.map_err(|error| RelabelError(error.to_string()))?;
            Ok((step.clone(), regex))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether there are no steps, so that every series stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the new labels of a series; `None` if a step drops it, or no label is left.
    #[must_use]
    pub fn apply(&self, labels: &LabelSet) -> Option<LabelSet> {
        if self.0.is_empty() {
            return Some(labels.clone());
        }
        let mut set: Labels = labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let kept = self
            .0
            .iter()
            .all(|(step, regex)| step.apply(regex, &mut set));
        (kept && !set.is_empty()).then(|| LabelSet::new(set))
    }
}

type Labels = BTreeMap<String, String>;

impl RelabelConfig {
    /// Applies the step to `set`; returns false if it drops the series.
    fn apply(&self, regex: &Pattern, set: &mut Labels) -> bool {
        let get = |name: &str| set.get(name).map_or("", String::as_str);
        let values: Vec<&str> = self.source_labels.iter().map(|name| get(name)).collect();
        let value = values.join(&self.separator);
        let target = &*self.target_label;
        match self.action {
            Action::Keep => return regex.is_match(&value),
            Action::Drop => return !regex.is_match(&value),
            Action::KeepEqual => return get(target) == value,
            Action::DropEqual => return get(target) != value,
            Action::Replace => self.replace(regex, &value, set),
            Action::Lowercase => put(set, target, value.to_lowercase()),
            Action::Uppercase => put(set, target, value.to_uppercase()),
            Action::HashMod => put(set, target, hash_mod(&value, self.modulus)),
            Action::LabelMap => self.map(regex, set),
            Action::LabelDrop => set.retain(|name, _| !regex.is_match(name)),
            Action::LabelKeep => set.retain(|name, _| regex.is_match(name)),
        }
        true
    }

    fn replace(&self, regex: &Pattern, value: &str, set: &mut Labels) {
        let Some(captures) = regex.captures(value) else {
            return;
        };
        let target = Replacement::new(&self.target_label).expand(&captures);
        if !target.is_empty() {
            put(
                set,
                &target,
                Replacement::new(&self.replacement).expand(&captures),
            );
        }
    }

    fn map(&self, regex: &Pattern, set: &mut Labels) {
        let replacement = Replacement::new(&self.replacement);
        let mapped = set.iter().filter_map(|(name, value)| {
            let captures = regex.captures(name)?;
            Some((replacement.expand(&captures), value.clone()))
        });
        let mapped: Vec<(String, String)> = mapped.filter(|(name, _)| !name.is_empty()).collect();
        for (name, value) in mapped {
            put(set, &name, value);
        }
    }
}

/// Sets a label; an empty value removes it.
fn put(set: &mut Labels, name: &str, value: String) {
    if value.is_empty() {
        set.remove(name);
    } else {
        set.insert(name.to_owned(), value);
    }
}

/// Returns the last 8 bytes of the MD5, big-endian, modulo `modulus`, as Prometheus shards.
fn hash_mod(value: &str, modulus: u64) -> String {
    let digest = md5::compute(value);
    let last = digest.0[8..]
        .iter()
        .fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    last.checked_rem(modulus).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
