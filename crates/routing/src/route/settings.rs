//! Settings of routes, receivers and the heartbeat.
//!
//! Owns the keys, their defaults and their documentation. `tree` validates what depends on other
//! settings.

use bellwether_core::Severity;
use bellwether_schema::{
    Decode, DecodeContext, HumanDuration, Node, Override, Section, Shape, SourceLocation, Spanned,
    Value, json_schema, section,
};
use serde::{Serialize, Serializer};

use super::matchers::Matchers;

section! {
    /// A receiver: channels that are notified together.
    pub struct ReceiverSettings {
        /// Name by which routes refer to it.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Names of channels; each is notified. Without any, alerts routed here are not notified.
        pub channels: Vec<Spanned<String>> = Vec::new(),
        /// Receiver or channel that is notified once all of these channels fail for
        /// `fallback_after`, or as soon as one rejects a notification for good.
        pub fallback: Option<Spanned<String>>,
        /// Time that the channels may fail before `fallback` is notified.
        pub fallback_after: HumanDuration = HumanDuration::minutes(5),
    }
}

section! {
    /// A step of the escalation of alerts that are not acknowledged.
    pub struct EscalationSettings {
        /// Time after the first notification about the alert.
        pub after: HumanDuration,
        /// Receiver, or a single channel.
        pub receiver: Spanned<String>,
        /// Only alerts of at least this severity.
        pub min_severity: Severity = Severity::Info,
    }
}

section! {
    /// A route: matchers, a receiver, groups and timers. An alert goes to the first of `routes`
    /// that matches it, and with `continue` also to later ones. If none matches, it stays at this
    /// route. A route inherits from its parent all settings that it does not have.
    pub struct RouteSettings {
        /// Receiver, or a single channel. At the top the default is all channels.
        pub receiver: Option<Spanned<String>> = None,
        /// Matchers, of which all must match: `severity="critical"`, `mount_point=~"/data.*"`, `a!=b`,
        /// `a!~b`. Labels are those of notifications, including `alertname` and `severity`.
        pub matchers: Matchers = Matchers::default(),
        /// Matches alerts of this route against the routes that follow, too.
        pub r#continue: bool = false,
        /// Labels; alerts with equal values of all of them are notified together. `[...]` means all
        /// labels, so that each alert is notified alone; at the top the default is `[alertname]`.
        pub group_by: Option<Vec<Spanned<String>>> = None,
        /// Time that the first alert of a group waits for others; at the top the default is 30s.
        pub group_wait: Option<HumanDuration> = None,
        /// Shortest time between two notifications of a group; at the top the default is 5m.
        pub group_interval: Option<Spanned<HumanDuration>> = None,
        /// Time after which a group that still fires is notified again; at the top the default is 4h.
        pub repeat_interval: Option<Spanned<HumanDuration>> = None,
        /// Time after an alert resolved in which it is not notified when it fires again.
        pub cooldown_period: Option<HumanDuration> = None,
        /// Names of time intervals outside of which alerts are muted. Resolved notifications of alerts
        /// that were notified are still sent.
        pub active_time_intervals: Vec<Spanned<String>> = Vec::new(),
        /// Names of time intervals within which alerts are muted. Resolved notifications of alerts that
        /// were notified are still sent.
        pub mute_time_intervals: Vec<Spanned<String>> = Vec::new(),
        /// Steps of escalation as long as the alert is not acknowledged.
        pub escalation: Vec<EscalationSettings> = Vec::new(),
        /// Child routes.
        pub routes: Vec<RouteSettings> = Vec::new(),
    }
}

section! {
    /// A heartbeat, sent as an alert that always fires: if it stops, rules are not evaluated or
    /// notifications not delivered. It is not sent while no rule is evaluated, and while any channel
    /// fails for `tolerate`.
    pub struct HeartbeatSettings {
        /// Receiver, or a single channel. Without one there is no heartbeat.
        pub receiver: Option<Spanned<String>> = None,
        /// Time between two heartbeats.
        pub interval: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(1)),
        /// Its `alertname`.
        pub name: String = "Heartbeat".to_owned(),
        /// Time that a channel may fail before the heartbeat stops.
        pub tolerate: HumanDuration = HumanDuration::minutes(10),
    }
}

/// The top route; a list is read as the routes below a top route without settings.
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
        Shape::SectionOr(RouteSettings::doc, || {
            json_schema::list(json_schema::reference_to("RouteSettings"))
        })
    }
}

impl Serialize for Routes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
