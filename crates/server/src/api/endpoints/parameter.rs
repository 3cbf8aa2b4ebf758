//! Parameters of endpoints as data. Each endpoint declares its own beside the code that reads them.

/// Parameter of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) kind: ParameterKind,
    pub(crate) necessity: Necessity,
    /// True if it may occur several times.
    pub(crate) repeats: bool,
    pub(crate) description: &'static str,
}

/// Place of a parameter in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Placeholder in the path.
    Path,
    /// Query of the URL, or a form.
    Query,
    /// Key of the JSON object in the body.
    Body,
    /// The whole body, which is JSON.
    WholeBody,
}

/// Type of a parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    Text,
    Number,
    /// Whole number.
    Count,
    /// Unix seconds or RFC 3339.
    Time,
    /// Seconds, or a text such as `1h30m`.
    Duration,
    Boolean,
    /// JSON array.
    List,
    /// JSON object.
    Object,
}

/// Need for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Necessity {
    Optional,
    /// Needed, unless another of the endpoint's alternatives is there.
    Alternative,
    Required,
}

impl ParameterKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Count => "whole number",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Object => "object",
        }
    }
}

/// Parameter of the query, optional.
const fn optional(name: &'static str, kind: ParameterKind, description: &'static str) -> Parameter {
    Parameter {
        name,
        place: Place::Query,
        kind,
        necessity: Necessity::Optional,
        repeats: false,
        description,
    }
}

pub(crate) const fn text(name: &'static str, description: &'static str) -> Parameter {
    optional(name, ParameterKind::Text, description)
}

pub(crate) const fn number(name: &'static str, description: &'static str) -> Parameter {
    optional(name, ParameterKind::Number, description)
}

pub(crate) const fn count(name: &'static str, description: &'static str) -> Parameter {
    optional(name, ParameterKind::Count, description)
}

pub(crate) const fn time(name: &'static str, description: &'static str) -> Parameter {
    optional(name, ParameterKind::Time, description)
}

pub(crate) const fn duration(name: &'static str, description: &'static str) -> Parameter {
    optional(name, ParameterKind::Duration, description)
}

pub(crate) const fn boolean(name: &'static str, description: &'static str) -> Parameter {
    optional(name, ParameterKind::Boolean, description)
}

pub(crate) const fn list(name: &'static str, description: &'static str) -> Parameter {
    optional(name, ParameterKind::List, description)
}

pub(crate) const fn object(name: &'static str, description: &'static str) -> Parameter {
    optional(name, ParameterKind::Object, description)
}

impl Parameter {
    pub(crate) const fn required(self) -> Self {
        self.with(Necessity::Required)
    }

    pub(crate) const fn with(self, necessity: Necessity) -> Self {
        Self { necessity, ..self }
    }

    pub(crate) const fn repeated(self) -> Self {
        Self {
            repeats: true,
            ..self
        }
    }

    pub(crate) const fn in_path(self) -> Self {
        Self {
            place: Place::Path,
            necessity: Necessity::Required,
            ..self
        }
    }

    pub(crate) const fn as_body(self) -> Self {
        Self {
            place: Place::WholeBody,
            necessity: Necessity::Required,
            ..self
        }
    }

    pub(crate) const fn in_body(self) -> Self {
        Self {
            place: Place::Body,
            ..self
        }
    }
}

/// Joins the names of `parameters`.
pub(crate) fn names(parameters: &[Parameter]) -> String {
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
    names.join(", ")
}
