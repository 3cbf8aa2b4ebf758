//! What the declaration says of routes and receivers.
//!
//! Owns the keys, their defaults and their documentation. What makes sense together is judged in
//! `tree`.

use bellwether_core::Severity;
use bellwether_schema::{
    Decode, DecodeContext, HumanDuration, Node, Section, Shape, SourceLocation, Spanned, Value,
    section,
};
use serde::{Serialize, Serializer};

use super::matchers::Matchers;

section! {
    /// Several channels that are told together.
    pub struct ReceiverSettings {
        /// Its name, by which routes refer to it.
        pub name: Spanned<String>,
        /// Names of channels; each is told. None: whoever is routed here is not told.
        pub channels: Vec<Spanned<String>> = Vec::new(),
        /// The receiver or channel that is told once all of these channels fail for
        /// `fallback_after`, or as soon as one refuses a notification for good.
        pub fallback: Option<Spanned<String>>,
        /// How long the channels may fail before `fallback` is told.
        pub fallback_after: HumanDuration = HumanDuration::minutes(5),
    }
}

section! {
    /// Who else is told when nobody acknowledges.
    pub struct EscalationSettings {
        /// How long after the alert was first told.
        pub after: HumanDuration,
        /// The receiver, or a single channel.
        pub receiver: Spanned<String>,
        /// Only alerts that are this bad.
        pub min_severity: Severity = Severity::Info,
    }
}

section! {
    /// A route: which alerts go to which receiver, how they are grouped, and when they are told.
    /// An alert takes the first of `routes` that matches, and further ones where that has
    /// `continue`; where none does, the route itself. What a route does not say it has from the
    /// one above.
    pub struct RouteSettings {
        /// Who is told: a receiver, or a single channel. At the top, without one, all channels.
        pub receiver: Option<Spanned<String>> = None,
        /// Which alerts; all must accept: `severity="critical"`, `mount_point=~"/data.*"`, `a!=b`, `a!~b`.
        /// Labels are those of notifications, `alertname` and `severity` among them.
        pub matchers: Matchers = Matchers::default(),
        /// Whether an alert that this route takes is also offered to those that follow it.
        pub r#continue: bool = false,
        /// Labels; alerts that agree in all of them are told together. `[...]` stands for all
        /// labels, so that each alert is told alone; at the top, without it, `[alertname]`.
        pub group_by: Option<Vec<Spanned<String>>> = None,
        /// How long the first alert of a group waits for others; at the top 30s.
        pub group_wait: Option<HumanDuration> = None,
        /// The shortest time between two messages of a group; at the top 5m.
        pub group_interval: Option<Spanned<HumanDuration>> = None,
        /// How long after its last message a group that still fires is told again; at the top 4h.
        pub repeat_interval: Option<Spanned<HumanDuration>> = None,
        /// How long after an alert resolved it is not told when it fires again.
        pub cooldown_period: Option<HumanDuration> = None,
        /// Names of time intervals outside of which nothing is told. Resolved of what was told is.
        pub active_time_intervals: Vec<Spanned<String>> = Vec::new(),
        /// Names of time intervals within which nothing is told. Resolved of what was told is.
        pub mute_time_intervals: Vec<Spanned<String>> = Vec::new(),
        /// Who else is told, in steps, as long as nobody acknowledges.
        pub escalation: Vec<EscalationSettings> = Vec::new(),
        /// Routes below this one.
        pub routes: Vec<RouteSettings> = Vec::new(),
    }
}

section! {
    /// A sign of life, sent as an alert that always fires: who does not get it any more knows that
    /// rules are not judged or notifications not delivered. It is held back while no rule is
    /// judged, and while another channel fails for `tolerate`.
    pub struct HeartbeatSettings {
        /// Who gets it: a receiver, or a single channel. Without one there is none.
        pub receiver: Option<Spanned<String>> = None,
        /// How often.
        pub interval: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(1)),
        /// The `alertname` it has.
        pub name: String = "Heartbeat".to_owned(),
        /// How long a channel may fail before there is no heartbeat any more.
        pub tolerate: HumanDuration = HumanDuration::minutes(10),
    }
}

/// The tree of routes: its top, or the routes below a top that says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes(pub RouteSettings, pub SourceLocation);

impl Decode for Routes {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let at = cx.at(node.pos);
        let top = match &node.value {
            Value::List(_) => RouteSettings {
                routes: Vec::<RouteSettings>::decode(node, cx)?,
                ..RouteSettings::default()
            },
            _ => RouteSettings::decode(node, cx)?,
        };
        Some(Self(top, at))
    }

    fn shape() -> Shape {
        Shape::Section(RouteSettings::doc)
    }
}

impl Serialize for Routes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
