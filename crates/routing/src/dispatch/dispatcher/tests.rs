//! Scenes on virtual time: transitions, and the notifications of each channel.

use bellwether_core::{Cause, Severity, Status};
use bellwether_schema::{Decode, DecodeContext, Diagnostics};

use super::*;
use crate::dispatch::command::Command;
use crate::dispatch::flapping::FlappingSettings;
use crate::mute::acknowledge::Acknowledgement;
use crate::mute::inhibit::InhibitRuleSettings;
use crate::mute::silence::SilenceDraft;
use crate::route::matchers::Matchers;
use crate::route::settings::{HeartbeatSettings, ReceiverSettings, Routes};
use crate::routing::{RoutingSettings, RuleTraits, Traits};
use crate::state::State;
use crate::testing::{after, alert, fires, resolves};

bellwether_schema::section! {
    /// Settings of the scenes.
    pub struct Scenery {
        /// Receivers.
        pub receivers: Vec<ReceiverSettings> = Vec::new(),
        /// Routes.
        pub routes: Option<Routes> = None,
        /// Inhibition.
        pub inhibit_rules: Vec<InhibitRuleSettings> = Vec::new(),
        /// Flapping.
        pub flapping: FlappingSettings = FlappingSettings::default(),
        /// Heartbeat.
        pub heartbeat: HeartbeatSettings = HeartbeatSettings::default(),
    }
}

fn routing(yaml: &str) -> Arc<Routing> {
    let mut diagnostics = Diagnostics::default();
    let node = bellwether_schema::parse(yaml).unwrap();
    let scenery =
        Scenery::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None)).unwrap();
    let channels = ["log", "chat", "pager", "mail"].map(|name| (name.to_owned(), true));
    let traits = RuleTraits {
        cooldown: None,
        interval: Duration::from_secs(10),
    };
    let settings = RoutingSettings {
        receivers: &scenery.receivers,
        routes: scenery.routes.as_ref(),
        time_intervals: &[],
        inhibit_rules: &scenery.inhibit_rules,
        maintenance: &[],
        silences: &[],
        flapping: &scenery.flapping,
        heartbeat: &scenery.heartbeat,
        cooldown: Duration::ZERO,
        channels: &channels,
        sender: Labels::from([("instance".to_owned(), "host-1".to_owned())]),
        traits: Traits::from([("disk".into(), traits)]),
    };
    let routing = Routing::compile(settings, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{:?}", diagnostics.into_sorted());
    Arc::new(routing)
}

/// A dispatcher, and the notifications that it sent: `30s chat: firing disk/a change`.
struct Scene {
    dispatcher: Dispatcher,
    feedback: Feedback,
    /// Returns the second at which a channel accepts a notification of a second; most at once.
    takes: fn(&str, u64) -> Option<u64>,
    /// Time at which each channel accepts the last firing notification of an alert.
    taken: HashMap<(String, Fingerprint), MonoMillis>,
    sent: Vec<String>,
    mute_changes: Vec<String>,
    at: u64,
}

impl Scene {
    fn new(yaml: &str) -> Self {
        Self {
            dispatcher: Dispatcher::new(routing(yaml), after(0)),
            feedback: Feedback {
                last_evaluation: MonoMillis::NEVER,
                ..Feedback::default()
            },
            takes: |_, second| Some(second),
            taken: HashMap::new(),
            sent: Vec::new(),
            mute_changes: Vec::new(),
            at: 0,
        }
    }

    fn advance(&mut self, second: u64) -> Advance {
        let now = after(second);
        let notified = |channel: &str, alert| {
            self.taken
                .get(&(channel.to_owned(), alert))
                .map(|at| *at.min(&now.mono))
        };
        self.dispatcher.advance(&self.feedback, &notified, now)
    }

    fn turn(&mut self, second: u64) {
        let advance = self.advance(second);
        for dispatch in advance.dispatches {
            // For every channel that was notified; changes nothing here.
            let Some(to) = dispatch.to else { continue };
            for one in dispatch.notifications {
                let (status, rule, cause) =
                    (one.status.as_str(), &one.alert.rule, one.cause.as_str());
                let mount = one.alert.labels.get("mount").map_or("", String::as_str);
                for channel in to.iter().filter(|_| one.status == Status::Firing) {
                    let key = (channel.to_string(), one.alert.fingerprint);
                    // A channel accepts a change only once.
                    let knows = one.cause == Cause::Change && self.taken.contains_key(&key);
                    if let Some(at) = (self.takes)(channel, second).filter(|_| !knows) {
                        self.taken.insert(key, after(at).mono);
                    }
                }
                self.sent.push(format!(
                    "{second}s {}: {status} {rule}{mount} {cause}",
                    to.join("+")
                ));
            }
        }
        for change in advance.mute_changes {
            let reason = change.reason.as_ref().map_or("none", MuteReason::name);
            self.mute_changes
                .push(format!("{second}s {}: {reason}", change.alert.rule));
        }
    }

    /// Advances to `second`, a second at a time.
    fn until(&mut self, second: u64) -> &mut Self {
        while self.at < second {
            self.at += 1;
            self.turn(self.at);
        }
        self
    }

    fn at(&mut self, second: u64, transitions: &[Transition]) -> &mut Self {
        self.until(second);
        self.dispatcher.apply(transitions, after(second));
        self.turn(second);
        self
    }

    fn take_sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent)
    }
}

fn disk(mount: &str) -> Alert {
    alert("disk", &[("mount", mount)])
}

fn critical(mut alert: Alert) -> Alert {
    alert.severity = Severity::Critical;
    alert
}

const NO_WAIT: &str = "group_wait: 0s, group_interval: 1s";

#[test]
fn without_routes_every_channel_is_notified_at_once_and_once() {
    let mut scene = Scene::new("{}");
    let (a, b) = (disk("/a"), disk("/b"));
    scene.at(1, &[fires(&a, after(1)), fires(&b, after(1))]);
    scene.at(2, &[resolves(&a, after(2))]).until(100_000);
    assert_eq!(
        scene.sent,
        [
            "1s log+chat+pager+mail: firing disk/a change",
            "1s log+chat+pager+mail: firing disk/b change",
            "2s log+chat+pager+mail: resolved disk/a change",
        ]
    );
}

#[test]
fn an_alert_goes_to_the_first_matching_route_and_beyond_with_continue() {
    let mut scene = Scene::new(
        "routes:
  receiver: log
  group_wait: 0s
  routes:
    - {receiver: pager, matchers: [severity=critical], continue: true}
    - {receiver: chat, matchers: ['mount=~\"/a.*\"']}
    - {receiver: mail, matchers: [instance=host-1, mount=/b]}",
    );
    let worse = critical(disk("/a"));
    let all = [
        fires(&worse, after(1)),
        fires(&disk("/b"), after(1)),
        fires(&disk("/c"), after(1)),
    ];
    scene.at(1, &all);
    let mut sent = scene.take_sent();
    sent.sort();
    assert_eq!(
        sent,
        [
            "1s chat: firing disk/a change",
            "1s log: firing disk/c change",
            "1s mail: firing disk/b change",
            "1s pager: firing disk/a change",
        ]
    );
}

#[test]
fn a_group_waits_gathers_and_repeats() {
    let mut scene = Scene::new(
        "routes: {receiver: chat, group_by: [alertname], group_wait: 30s, group_interval: 5m,
                  repeat_interval: 1h}",
    );
    scene
        .at(1, &[fires(&disk("/a"), after(1))])
        .at(20, &[fires(&disk("/b"), after(20))]);
    scene.until(100);
    assert_eq!(
        scene.take_sent(),
        [
            "31s chat: firing disk/a change",
            "31s chat: firing disk/b change"
        ]
    );
    // Later ones wait for the interval, and for each other.
    scene
        .at(101, &[fires(&disk("/c"), after(101))])
        .at(102, &[resolves(&disk("/a"), after(102))]);
    scene.until(1000);
    assert_eq!(
        scene.take_sent(),
        [
            "331s chat: firing disk/c change",
            "331s chat: resolved disk/a change"
        ]
    );
    // Firing alerts are repeated; one that comes long after is notified after group_wait.
    scene.until(4000);
    assert_eq!(
        scene.take_sent(),
        [
            "3931s chat: firing disk/b repeat",
            "3931s chat: firing disk/c repeat"
        ]
    );
    scene
        .at(
            5000,
            &[
                resolves(&disk("/b"), after(5000)),
                resolves(&disk("/c"), after(5000)),
            ],
        )
        .until(20_000);
    assert_eq!(
        scene.take_sent(),
        [
            "5030s chat: resolved disk/b change",
            "5030s chat: resolved disk/c change"
        ]
    );
    assert!(scene.dispatcher.groups.is_empty() && scene.dispatcher.alerts.is_empty());
}

#[test]
fn an_alert_that_resolves_before_it_was_notified_is_not_notified() {
    let mut scene = Scene::new("routes: {receiver: chat, group_wait: 30s}");
    scene
        .at(1, &[fires(&disk("/a"), after(1))])
        .at(10, &[resolves(&disk("/a"), after(10))])
        .until(1000);
    assert_eq!(scene.sent, [""; 0]);
}

#[test]
fn an_alert_that_gets_worse_moves_to_the_route_for_it() {
    let mut scene = Scene::new(&format!(
        "routes: {{receiver: chat, {NO_WAIT}, routes: [{{receiver: pager, matchers: [severity=critical]}}]}}"
    ));
    let mild = disk("/a");
    let worse = critical(disk("/a"));
    scene.at(1, &[fires(&mild, after(1))]);
    let rise = Transition {
        from: AlertState::Firing,
        ..fires(&worse, after(5))
    };
    scene
        .at(5, &[rise])
        .at(9, &[resolves(&worse, after(9))])
        .until(60);
    assert_eq!(
        scene.sent,
        [
            "1s chat: firing disk/a change",
            "5s pager: firing disk/a change",
            "9s pager: resolved disk/a change",
        ]
    );
}

/// All channels that were notified get the resolved notification, wherever the alert is by then.
#[test]
fn the_end_of_an_alert_is_offered_to_every_channel() {
    let mut scene = Scene::new(&format!("routes: {{receiver: chat, {NO_WAIT}}}"));
    scene
        .dispatcher
        .apply(&[fires(&disk("/a"), after(1))], after(1));
    scene.turn(1);
    scene.dispatcher.apply(
        &[
            resolves(&disk("/a"), after(2)),
            resolves(&disk("/x"), after(2)),
        ],
        after(2),
    );
    let advance = scene.advance(2);
    let to_all = advance
        .dispatches
        .iter()
        .filter(|dispatch| dispatch.to.is_none());
    let notified: Vec<_> = to_all
        .flat_map(|dispatch| &dispatch.notifications)
        .collect();
    assert_eq!(notified.len(), 1, "the unknown one");
    let advance = scene.advance(3);
    assert_eq!(
        advance.dispatches.len(),
        1,
        "the one that left its last group"
    );
    assert_eq!(advance.dispatches[0].to, None);
}

#[test]
fn an_inhibited_alert_is_notified_once_nothing_inhibits_it() {
    let mut scene = Scene::new(&format!(
        "{{inhibit_rules: [{{source_matchers: [alertname=host_down], target_matchers: [alertname=disk]}}],
           routes: {{receiver: chat, {NO_WAIT}}}}}"
    ));
    let down = alert("host_down", &[]);
    // Both in one judgement, the target first.
    scene
        .at(1, &[fires(&disk("/a"), after(1)), fires(&down, after(1))])
        .until(100);
    assert_eq!(scene.take_sent(), ["1s chat: firing host_down change"]);
    scene.at(101, &[resolves(&down, after(101))]).until(200);
    let mut sent = scene.take_sent();
    sent.sort();
    assert_eq!(
        sent,
        [
            "101s chat: firing disk/a change",
            "101s chat: resolved host_down change"
        ]
    );
    assert_eq!(scene.mute_changes[0], "1s disk: inhibited");
    assert!(
        scene.mute_changes[1].ends_with("disk: none"),
        "{:?}",
        scene.mute_changes
    );
}

/// Two hosts behind a switch: what depends on it ends an evaluation later, or does not.
const SWITCH: &str =
    "{inhibit_rules: [{source_matchers: [alertname=switch], target_matchers: [alertname=disk]}],
    routes: {receiver: chat, group_wait: 30s, group_interval: 40s,
             routes: [{receiver: log, matchers: [alertname=switch], group_wait: 0s}]}}";

fn sent_to_chat(scene: &mut Scene) -> Vec<String> {
    let mut sent = scene.take_sent();
    sent.retain(|line| line.contains("chat"));
    sent
}

#[test]
fn an_uninhibited_alert_waits_once_before_its_first_notification() {
    let mut scene = Scene::new(SWITCH);
    let switch = alert("switch", &[]);
    let all = [
        fires(&switch, after(1)),
        fires(&disk("/a"), after(1)),
        fires(&disk("/b"), after(1)),
    ];
    scene.at(1, &all);
    scene
        .at(100, &[resolves(&switch, after(100))])
        .at(110, &[resolves(&disk("/a"), after(110))])
        .until(300);
    assert_eq!(
        sent_to_chat(&mut scene),
        ["131s chat: firing disk/b change"]
    );
    let gates = [
        "31s disk: inhibited",
        "100s disk: uninhibited",
        "131s disk: none",
    ];
    let count = |reason: &str| {
        scene
            .mute_changes
            .iter()
            .filter(|line| *line == reason)
            .count()
    };
    assert_eq!(gates.map(count), [2, 2, 1], "{:?}", scene.mute_changes);
    // An alert that was notified waits no longer than any change.
    scene.at(400, &[fires(&switch, after(400))]);
    let worse = Transition {
        from: AlertState::Firing,
        ..fires(&critical(disk("/b")), after(410))
    };
    scene
        .at(410, &[worse])
        .at(500, &[resolves(&switch, after(500))])
        .until(600);
    assert_eq!(
        sent_to_chat(&mut scene),
        ["500s chat: firing disk/b change"]
    );
}

#[test]
fn an_alert_that_is_inhibited_again_waits_again() {
    let mut scene = Scene::new(SWITCH);
    let switch = alert("switch", &[]);
    scene.at(1, &[fires(&switch, after(1)), fires(&disk("/a"), after(1))]);
    for second in [100, 140, 180] {
        scene.at(second, &[resolves(&switch, after(second))]);
        scene.at(second + 20, &[fires(&switch, after(second + 20))]);
    }
    scene.at(220, &[resolves(&switch, after(220))]).until(300);
    assert_eq!(
        sent_to_chat(&mut scene),
        ["251s chat: firing disk/a change"]
    );
    assert!(
        scene.dispatcher.state().uninhibited.is_empty(),
        "notified since"
    );
}

/// The source ended while the group of the other waited for its first message.
#[test]
fn an_alert_that_was_inhibited_since_it_fired_waits_from_then_on() {
    let mut scene = Scene::new(SWITCH);
    let switch = alert("switch", &[]);
    scene.at(1, &[fires(&switch, after(1)), fires(&disk("/a"), after(1))]);
    scene.at(20, &[resolves(&switch, after(20))]).until(100);
    assert_eq!(sent_to_chat(&mut scene), ["51s chat: firing disk/a change"]);
}

#[test]
fn a_silence_that_ends_is_waited_for_no_longer() {
    let mut scene = Scene::new(SWITCH);
    let switch = alert("switch", &[]);
    scene.at(
        1,
        &[
            fires(&switch, after(1)),
            fires(&disk("/a"), after(1)),
            fires(&disk("/b"), after(1)),
        ],
    );
    scene
        .dispatcher
        .execute(silenced("mount=/a", 90), 1, after(2))
        .unwrap();
    scene
        .dispatcher
        .execute(silenced("mount=/b", 150), 2, after(2))
        .unwrap();
    scene.at(80, &[resolves(&switch, after(80))]).until(160);
    let sent = sent_to_chat(&mut scene);
    assert_eq!(
        sent[0], "111s chat: firing disk/a change",
        "the wait goes on from the end of the switch"
    );
    let second: u64 = sent[1].split_once('s').unwrap().0.parse().unwrap();
    assert!(
        (150..=155).contains(&second) && sent[1].ends_with("/b change"),
        "{sent:?}"
    );
}

#[test]
fn a_restart_and_a_reload_go_on_with_the_wait_after_inhibition() {
    let explained = |scene: &Scene| {
        let known = scene
            .dispatcher
            .explain(disk("/a").fingerprint, after(scene.at))
            .unwrap();
        let group = known.groups.into_iter().next().unwrap();
        (group.muted, group.next_flush)
    };
    let until = |second| {
        let why = "no longer inhibited; notified at 2026-11-23T12:02:11Z if it still fires";
        (
            Some(("uninhibited", why.to_owned())),
            Some(after(second).wall),
        )
    };
    let mut scene = Scene::new(SWITCH);
    let switch = alert("switch", &[]);
    let fired = Alert {
        fired_at: Some(after(1).wall),
        ..disk("/a")
    };
    scene.at(1, &[fires(&switch, after(1)), fires(&fired, after(1))]);
    scene.at(100, &[resolves(&switch, after(100))]).until(105);
    assert_eq!(explained(&scene), until(131));
    assert!(scene.dispatcher.take_unsaved());
    let next = Dispatcher::new(routing(SWITCH), after(105));
    let before = std::mem::replace(&mut scene.dispatcher, next);
    scene
        .dispatcher
        .continue_from(before, HashMap::new(), after(105));
    scene.until(107);
    assert_eq!(explained(&scene), until(131));
    let state = scene.dispatcher.state();
    scene.dispatcher = Dispatcher::new(routing(SWITCH), after(110));
    scene
        .dispatcher
        .restore(vec![Arc::new(fired.clone())], HashMap::new(), after(110));
    scene.dispatcher.restore_state(state, after(110));
    scene
        .dispatcher
        .confirm(&[fired.fingerprint], after(112).mono);
    scene.take_sent();
    scene.until(200);
    assert_eq!(scene.take_sent(), ["131s chat: firing disk/a change"]);
}

#[test]
fn a_reload_without_the_inhibition_waits_as_well() {
    let mut scene = Scene::new(SWITCH);
    scene
        .at(
            1,
            &[
                fires(&alert("switch", &[]), after(1)),
                fires(&disk("/a"), after(1)),
            ],
        )
        .until(100);
    let next = Dispatcher::new(
        routing("routes: {receiver: chat, group_wait: 30s}"),
        after(100),
    );
    let before = std::mem::replace(&mut scene.dispatcher, next);
    scene
        .dispatcher
        .continue_from(before, HashMap::new(), after(100));
    scene.until(200);
    let sent = sent_to_chat(&mut scene);
    assert!(
        sent.contains(&"131s chat: firing disk/a change".to_owned()),
        "{sent:?}"
    );
}

#[test]
fn suppressions_have_the_reason_of_each_alert() {
    let mut scene = Scene::new(SWITCH);
    let switch = alert("switch", &[]);
    let all = [
        fires(&disk("/a"), after(1)),
        fires(&disk("/b"), after(1)),
        fires(&alert("load", &[]), after(1)),
    ];
    scene.at(1, &all);
    assert!(scene.dispatcher.suppressions(after(1).wall).is_empty());
    scene
        .dispatcher
        .execute(silenced("mount=/a", 60), 1, after(2))
        .unwrap();
    let (by, comment) = ("ada".to_owned(), String::new());
    let alert = disk("/b").fingerprint;
    scene
        .dispatcher
        .execute(
            Command::Acknowledge {
                alert,
                by,
                comment,
                until: None,
            },
            2,
            after(2),
        )
        .unwrap();
    let notified = |scene: &Scene, second: u64| {
        let all = scene.dispatcher.suppressions(after(second).wall);
        ["/a", "/b"].map(|mount| {
            all.get(&disk(mount).fingerprint).cloned().map(|one| {
                (
                    one.silenced_by.is_some(),
                    one.inhibited_by,
                    one.acknowledged_by,
                )
            })
        })
    };
    let ada = Some("ada".to_owned());
    assert_eq!(
        notified(&scene, 3),
        [Some((true, None, None)), Some((false, None, ada.clone()))]
    );
    assert_eq!(
        notified(&scene, 60),
        [None, Some((false, None, ada.clone()))]
    );
    scene.at(70, &[fires(&switch, after(70))]);
    let by = Some(switch.fingerprint);
    assert_eq!(
        notified(&scene, 71),
        [Some((false, by, None)), Some((false, by, ada))]
    );
    assert_eq!(scene.dispatcher.suppressions(after(71).wall).len(), 2);
}

/// A member that is muted is checked again and again; what changes of the others keeps to the
/// times of the group all the same.
#[test]
fn a_muted_alert_does_not_hasten_the_others() {
    let yaml = "{inhibit_rules: [{source_matchers: [alertname=host_down], target_matchers: [mount=/a]}],
           routes: {receiver: chat, group_by: [alertname], routes: [{receiver: log, matchers: [alertname=host_down]}]}}";
    let mut scene = Scene::new(yaml);
    let down = alert("host_down", &[]);
    scene.at(1, &[fires(&down, after(1)), fires(&disk("/a"), after(1))]);
    scene
        .at(120, &[fires(&disk("/b"), after(120))])
        .at(180, &[fires(&disk("/c"), after(180))]);
    scene.until(600);
    let mut sent = scene.take_sent();
    sent.retain(|line| line.contains("chat"));
    assert_eq!(
        sent,
        [
            "150s chat: firing disk/b change",
            "450s chat: firing disk/c change"
        ]
    );
    scene.at(700, &[resolves(&down, after(700))]).until(1000);
    let sent = scene.take_sent();
    assert!(
        sent.iter()
            .any(|line| line.contains("chat: firing disk/a change")),
        "{sent:?}"
    );
}

#[test]
fn a_resolved_is_notified_through_inhibition() {
    let mut scene = Scene::new(&format!(
        "{{inhibit_rules: [{{source_matchers: [alertname=host_down], target_matchers: [alertname=disk]}}],
           routes: {{receiver: chat, {NO_WAIT}}}}}"
    ));
    scene.at(1, &[fires(&disk("/a"), after(1))]);
    scene
        .at(5, &[fires(&alert("host_down", &[]), after(5))])
        .at(9, &[resolves(&disk("/a"), after(9))]);
    scene.until(60);
    assert_eq!(
        scene.sent,
        [
            "1s chat: firing disk/a change",
            "5s chat: firing host_down change",
            "9s chat: resolved disk/a change",
        ]
    );
}

#[test]
fn an_acknowledgement_stops_repeats_and_escalation() {
    let yaml = format!(
        "{{receivers: [{{name: boss, channels: [mail]}}],
           routes: {{receiver: chat, {NO_WAIT}, repeat_interval: 10m,
             escalation: [{{after: 15m, receiver: pager, min_severity: critical}}, {{after: 30m, receiver: boss}}]}}}}"
    );
    let (mild, worse) = (disk("/a"), critical(disk("/b")));
    let mut scene = Scene::new(&yaml);
    scene
        .at(0, &[fires(&mild, after(0)), fires(&worse, after(0))])
        .until(1900);
    let mut sent = scene.take_sent();
    sent.retain(|line| !line.contains("repeat"));
    assert_eq!(
        sent,
        [
            "0s chat: firing disk/a change",
            "0s chat: firing disk/b change",
            "900s pager: firing disk/b escalation",
            "1800s mail: firing disk/a escalation",
            "1800s mail: firing disk/b escalation",
        ]
    );
    scene
        .at(
            1901,
            &[resolves(&mild, after(1901)), resolves(&worse, after(1901))],
        )
        .until(2000);
    assert_eq!(
        scene.take_sent(),
        [
            "1901s chat+mail+pager: resolved disk/a change",
            "1901s chat+mail+pager: resolved disk/b change"
        ]
    );

    let mut scene = Scene::new(&yaml);
    scene.at(0, &[fires(&worse, after(0))]);
    let (by, comment) = ("ada".to_owned(), "on it".to_owned());
    let until = Some(after(3600).wall);
    let ack = Acknowledgement {
        by,
        comment,
        at: after(60).wall,
        until,
    };
    scene
        .dispatcher
        .acknowledgements
        .set(worse.fingerprint, ack);
    scene.until(3500);
    assert_eq!(scene.take_sent(), ["0s chat: firing disk/b change"]);
    scene.until(3700);
    let sent = scene.take_sent();
    for expected in [
        "pager: firing disk/b escalation",
        "chat: firing disk/b repeat",
    ] {
        assert!(
            sent.iter().any(|line| line.ends_with(expected)),
            "{expected}: {sent:?}"
        );
    }
}

#[test]
fn the_fallback_is_notified_once_all_channels_fail_or_one_rejects() {
    let yaml = format!(
        "{{receivers: [{{name: team, channels: [chat, pager], fallback: mail, fallback_after: 5m}}],
           routes: {{receiver: team, {NO_WAIT}}}}}"
    );
    let failing = |channels: &[(&str, u64)]| {
        channels
            .iter()
            .map(|(name, seconds)| ((*name).into(), Duration::from_secs(*seconds)))
            .collect::<HashMap<Arc<str>, Duration>>()
    };
    let mut scene = Scene::new(&yaml);
    scene.at(1, &[fires(&disk("/a"), after(1))]);
    scene.feedback.failing = failing(&[("chat", 400)]);
    scene.until(10);
    scene.feedback.failing = failing(&[("chat", 400), ("pager", 299)]);
    scene.until(20);
    assert_eq!(scene.take_sent(), ["1s chat+pager: firing disk/a change"]);
    scene.feedback.failing = failing(&[("chat", 400), ("pager", 300)]);
    scene.until(30).at(31, &[resolves(&disk("/a"), after(31))]);
    assert_eq!(
        scene.take_sent(),
        [
            "21s mail: firing disk/a fallback",
            "31s chat+mail+pager: resolved disk/a change"
        ]
    );

    let mut scene = Scene::new(&yaml);
    scene.at(1, &[fires(&disk("/a"), after(1))]);
    scene.feedback.rejected = vec![("pager".into(), disk("/a").fingerprint)];
    scene.until(2);
    assert_eq!(scene.take_sent()[1..], ["2s mail: firing disk/a fallback"]);
}

#[test]
fn the_start_and_the_end_of_flapping_are_notified() {
    let mut scene = Scene::new(&format!(
        "{{flapping: {{enabled: true}}, routes: {{receiver: chat, {NO_WAIT}}}}}"
    ));
    let disk = disk("/a");
    for round in 0..8 {
        let second = 20 + round * 20;
        scene.at(second, &[fires(&disk, after(second))]);
        scene.at(second + 10, &[resolves(&disk, after(second + 10))]);
    }
    scene.until(1000);
    let kinds =
        |sent: &[String], what: &str| sent.iter().filter(|line| line.contains(what)).count();
    assert_eq!(
        kinds(&scene.sent, "firing disk/a flapping"),
        1,
        "{:?}",
        scene.sent
    );
    assert_eq!(
        kinds(&scene.sent, "firing"),
        kinds(&scene.sent, "resolved") + 1,
        "{:?}",
        scene.sent
    );
    assert!(scene.sent.len() < 10, "{:?}", scene.sent);
    assert!(
        scene.sent.last().unwrap().contains("resolved"),
        "{:?}",
        scene.sent
    );
}

#[test]
fn an_acknowledgement_of_a_flapping_alert_lasts_until_flapping_ends() {
    let yaml = format!("{{flapping: {{enabled: true}}, routes: {{receiver: chat, {NO_WAIT}}}}}");
    let mut scene = Scene::new(&yaml);
    let disk = disk("/a");
    for round in 0..8 {
        let second = 20 + round * 20;
        scene.at(second, &[fires(&disk, after(second))]);
        scene.at(second + 10, &[resolves(&disk, after(second + 10))]);
    }
    let (by, comment) = ("ada".into(), "on it".into());
    let order = Command::Acknowledge {
        alert: disk.fingerprint,
        by,
        comment,
        until: None,
    };
    scene.dispatcher.execute(order, 1, after(171)).unwrap();
    let held = |scene: &Scene| {
        let known = scene.dispatcher.acknowledgements();
        known
            .active(disk.fingerprint, after(scene.at).wall)
            .is_some()
    };
    assert!(held(scene.until(175)));
    assert!(!held(scene.until(1000)));
}

#[test]
fn an_alert_that_is_only_flapping_inhibits_no_other_after_a_reload() {
    let yaml = format!(
        "{{flapping: {{enabled: true}}, routes: {{receiver: chat, {NO_WAIT}}},
           inhibit_rules: [{{source_matchers: [mount=/a], target_matchers: [mount=/b]}}]}}"
    );
    let mut scene = Scene::new(&yaml);
    for round in 0..8 {
        let second = 20 + round * 20;
        scene.at(second, &[fires(&disk("/a"), after(second))]);
        scene.at(second + 10, &[resolves(&disk("/a"), after(second + 10))]);
    }
    assert!(
        scene
            .take_sent()
            .iter()
            .any(|line| line.ends_with("flapping"))
    );
    let next = Dispatcher::new(routing(&yaml), after(171));
    let before = std::mem::replace(&mut scene.dispatcher, next);
    scene
        .dispatcher
        .continue_from(before, HashMap::new(), after(171));
    scene.at(172, &[fires(&disk("/b"), after(172))]).until(180);
    let sent = scene.take_sent();
    assert!(
        sent.iter()
            .any(|line| line.ends_with("firing disk/b change")),
        "{sent:?}"
    );
}

#[test]
fn a_cooldown_mutes_an_alert_that_fires_again_too_soon() {
    let mut scene = Scene::new(&format!(
        "routes: {{receiver: chat, {NO_WAIT}, cooldown_period: 5m}}"
    ));
    let disk = disk("/a");
    scene
        .at(1, &[fires(&disk, after(1))])
        .at(10, &[resolves(&disk, after(10))]);
    scene
        .at(20, &[fires(&disk, after(20))])
        .at(30, &[resolves(&disk, after(30))]);
    scene.at(40, &[fires(&disk, after(40))]).until(600);
    let sent = scene.take_sent();
    assert_eq!(
        sent[..2],
        [
            "1s chat: firing disk/a change",
            "10s chat: resolved disk/a change"
        ]
    );
    assert_eq!(sent[2..], ["330s chat: firing disk/a change"]);
}

#[test]
fn after_a_restart_a_notified_alert_is_quiet_until_its_repeat() {
    let yaml = "routes: {receiver: chat, group_wait: 30s, repeat_interval: 1h}";
    let mut scene = Scene::new(yaml);
    let notified = NotifiedState {
        first: after(0).mono.before(Duration::from_secs(1800)),
        last: after(0).mono.before(Duration::from_secs(1800)),
        severity: Severity::Warning,
    };
    let (known, fresh) = (disk("/known"), disk("/fresh"));
    let firing = vec![Arc::new(known.clone()), Arc::new(fresh.clone())];
    scene
        .dispatcher
        .restore(firing, [(known.fingerprint, notified)].into(), after(0));
    scene.until(1000);
    // Both are offered once their data had time to come; the outbox knows the one.
    let sent = scene.take_sent();
    assert!(
        sent.iter().all(|line| line.ends_with("change")) && sent.len() == 2,
        "{sent:?}"
    );
    let second = |line: &String| line.split_once('s').unwrap().0.parse::<u64>().unwrap();
    assert!(sent.iter().all(|line| second(line) >= 60), "{sent:?}");
    scene.until(8000);
    assert!(scene.take_sent().iter().all(|line| line.contains("repeat")));
}

#[test]
fn an_alert_that_waited_at_a_restart_is_notified_once_its_data_are_there() {
    let routing = routing("{routes: {receiver: chat, group_wait: 30s}}");
    // A process that lives for 20 s, again and again, from when the alert fired.
    let fired = Alert {
        fired_at: Some(after(0).wall),
        ..disk("a")
    };
    let mut notified = Vec::new();
    for start in [10_u64, 30, 50] {
        let mut dispatcher = Dispatcher::new(routing.clone(), after(start));
        dispatcher.restore(vec![Arc::new(fired.clone())], HashMap::new(), after(start));
        for second in start + 1..start + 20 {
            if second == start + 2 {
                dispatcher.confirm(&[fired.fingerprint], after(second).mono);
            }
            let now = after(second);
            let out = dispatcher.advance(&Feedback::default(), &|_: &str, _| None, now);
            notified.extend(out.dispatches.iter().map(|_| second));
        }
        if !notified.is_empty() {
            break;
        }
    }
    assert_eq!(
        notified,
        [32],
        "once its group waited for 30 s, and it was confirmed"
    );
    // Without data it waits for a minute.
    let mut dispatcher = Dispatcher::new(routing, after(40));
    dispatcher.restore(vec![Arc::new(fired)], HashMap::new(), after(40));
    let first = (41..200)
        .find(|second| {
            let out = dispatcher.advance(&Feedback::default(), &|_: &str, _| None, after(*second));
            !out.dispatches.is_empty()
        })
        .unwrap();
    assert!((100..=105).contains(&first), "{first}");
}

#[test]
fn flapping_is_notified_whether_it_starts_with_a_resolved_or_a_firing() {
    let yaml = format!("{{flapping: {{enabled: true}}, routes: {{receiver: chat, {NO_WAIT}}}}}");
    let disk = disk("/a");
    for begins_firing in [false, true] {
        let mut scene = Scene::new(&yaml);
        let mut start = 20;
        if begins_firing {
            scene.at(1, &[fires(&disk, after(1))]);
            scene.at(400, &[resolves(&disk, after(400))]);
            start = 420;
        }
        for round in 0..8 {
            let second = start + round * 20;
            scene.at(second, &[fires(&disk, after(second))]);
            scene.at(second + 10, &[resolves(&disk, after(second + 10))]);
        }
        let sent = scene.take_sent();
        let notified = sent
            .iter()
            .filter(|line| line.contains("firing disk/a flapping"))
            .count();
        assert_eq!(notified, 1, "begins firing: {begins_firing}, {sent:?}");
    }
}

/// Chat took it at once, the pager was down for a while, the mail rejects it.
#[test]
fn each_channel_gets_a_repeat_an_interval_after_its_last() {
    let mut scene = Scene::new(&format!(
        "{{receivers: [{{name: team, channels: [chat, pager, mail]}}, {{name: lead, channels: [log]}}],
           routes: {{receiver: team, {NO_WAIT}, repeat_interval: 10m,
             escalation: [{{after: 5m, receiver: lead}}]}}}}"
    ));
    scene.takes = |channel, second| match channel {
        "chat" => Some(second + 1),
        "pager" => Some(second.max(400)),
        "mail" => None,
        _ => Some(second),
    };
    scene.at(1, &[fires(&disk("/a"), after(1))]).until(1210);
    assert_eq!(
        scene.take_sent(),
        [
            "1s chat+pager+mail: firing disk/a change",
            "301s log: firing disk/a escalation",
            "601s mail: firing disk/a repeat",
            "602s chat: firing disk/a repeat",
            "901s log: firing disk/a repeat",
            "1000s pager: firing disk/a repeat",
            "1203s chat: firing disk/a repeat",
        ]
    );
}

#[test]
fn after_a_restart_each_channel_gets_a_repeat_an_interval_after_its_last() {
    let yaml = "receivers: [{name: team, channels: [chat, pager]}]
routes: {receiver: team, group_wait: 0s, repeat_interval: 10m}";
    let mut scene = Scene::new(yaml);
    let ago = |seconds| after(0).mono.before(Duration::from_secs(seconds));
    let known = NotifiedState {
        first: ago(590),
        last: ago(5),
        severity: Severity::Warning,
    };
    let disk = disk("/a");
    for (channel, at) in [("chat", known.first), ("pager", known.last)] {
        scene.taken.insert((channel.into(), disk.fingerprint), at);
    }
    scene.dispatcher.restore(
        vec![Arc::new(disk.clone())],
        [(disk.fingerprint, known)].into(),
        after(0),
    );
    scene.until(600);
    let mut sent = scene.take_sent();
    sent.retain(|line| line.ends_with("repeat"));
    assert_eq!(
        sent,
        [
            "60s chat: firing disk/a repeat",
            "595s pager: firing disk/a repeat"
        ]
    );
}

#[test]
fn a_reload_moves_active_alerts_to_their_new_route_and_resolves_others() {
    let mut scene = Scene::new("routes: {receiver: chat, group_wait: 0s, group_interval: 5m}");
    let (a, b) = (disk("/a"), disk("/b"));
    scene
        .at(1, &[fires(&a, after(1)), fires(&b, after(1))])
        .at(2, &[resolves(&b, after(2))]);
    assert_eq!(scene.take_sent().len(), 2);
    let mut next = Dispatcher::new(
        routing("routes: {receiver: mail, group_wait: 0s}"),
        after(3),
    );
    let notified = NotifiedState {
        first: after(1).mono,
        last: after(1).mono,
        severity: Severity::Warning,
    };
    let before = std::mem::replace(
        &mut scene.dispatcher,
        Dispatcher::new(routing("{}"), after(3)),
    );
    next.continue_from(
        before,
        [(a.fingerprint, notified), (b.fingerprint, notified)].into(),
        after(3),
    );
    scene.dispatcher = next;
    let advance = scene.advance(3);
    let lines: Vec<_> = advance
        .dispatches
        .iter()
        .flat_map(|dispatch| {
            dispatch
                .notifications
                .iter()
                .map(|one| (dispatch.to.clone(), one))
        })
        .map(|(to, one)| {
            (
                to.map(|to| to.join("+")),
                one.status.as_str(),
                one.alert.labels["mount"].clone(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            (None, "resolved", "/b".to_owned()),
            (Some("mail".to_owned()), "firing", "/a".to_owned()),
        ]
    );
}

#[test]
fn a_heartbeat_is_sent_while_rules_are_evaluated_and_channels_deliver() {
    let mut scene = Scene::new("{heartbeat: {receiver: pager, interval: 10s, tolerate: 1m}}");
    scene.until(35);
    let beats = |scene: &mut Scene| {
        let sent = scene.take_sent();
        assert!(
            sent.iter()
                .all(|line| line.ends_with("pager: firing Heartbeat heartbeat")),
            "{sent:?}"
        );
        sent.len()
    };
    assert_eq!(beats(&mut scene), 4);
    scene.feedback.failing = [("chat".into(), Duration::from_secs(59))].into();
    assert_eq!(beats(scene.until(65)), 3);
    scene.feedback.failing = [("chat".into(), Duration::from_secs(60))].into();
    assert_eq!(beats(scene.until(95)), 0);
    scene.feedback.failing.clear();
    assert_eq!(beats(scene.until(105)), 1);
    scene.feedback.last_evaluation = after(105).mono;
    assert_eq!(beats(scene.until(200)), 1, "no rule was evaluated since");
}

#[test]
fn conflicting_settings_are_errors_with_location() {
    let compile = |yaml: &str| {
        let mut diagnostics = Diagnostics::default();
        let node = bellwether_schema::parse(yaml).unwrap();
        let scenery =
            Scenery::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None)).unwrap();
        let channels = [("chat".to_owned(), true), ("off".to_owned(), false)];
        let settings = RoutingSettings {
            receivers: &scenery.receivers,
            routes: scenery.routes.as_ref(),
            time_intervals: &[],
            inhibit_rules: &scenery.inhibit_rules,
            maintenance: &[],
            silences: &[],
            flapping: &scenery.flapping,
            heartbeat: &scenery.heartbeat,
            cooldown: Duration::ZERO,
            channels: &channels,
            sender: Labels::new(),
            traits: Traits::new(),
        };
        let routing = Routing::compile(settings, &mut diagnostics);
        let errors: Vec<_> = diagnostics
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect();
        let warnings: Vec<_> = routing.warnings.iter().map(ToString::to_string).collect();
        (errors, warnings)
    };
    for (yaml, expected) in [
        (
            "routes: {receiver: chta}",
            "1:20: routes.receiver: no receiver \"chta\"\n  hint: did you mean",
        ),
        (
            "receivers: [{name: a, channels: [no]}]",
            "receivers[0].channels[0]: no channel \"no\"",
        ),
        (
            "receivers: [{name: a}, {name: a}]",
            "duplicate receiver \"a\"",
        ),
        (
            "receivers: [{name: a, fallback: a}]",
            "a receiver cannot be its own fallback",
        ),
        (
            "routes: {matchers: [a=b]}",
            "the top route must match every alert",
        ),
        (
            "routes: {continue: true}",
            "the top route must not have `continue`",
        ),
        ("routes: {group_by: [a, a]}", "duplicate label \"a\""),
        ("routes: {group_by: [a, '...']}", "`...` means all labels"),
        (
            "routes: {group_interval: 0}",
            "`group_interval` must be longer than 0",
        ),
        (
            "routes: [{mute_time_intervals: [night]}]",
            "no time interval \"night\"",
        ),
        (
            "heartbeat: {receiver: chat, interval: 1ms}",
            "too short: 1ms",
        ),
    ] {
        let (errors, _) = compile(yaml);
        assert!(
            errors.iter().any(|error| error.contains(expected)),
            "{yaml}: {errors:?}"
        );
    }
    for (yaml, expected) in [
        (
            "receivers: [{name: a, channels: [chat]}]",
            "receiver \"a\" is not used",
        ),
        (
            "routes: [{receiver: chat, matchers: [a=b]}, {receiver: off, matchers: [a=b, c=d]}]",
            "route routes[1] is never reached: routes[0] matches all of its alerts",
        ),
        (
            "routes: {repeat_interval: 1m}",
            "repeat_interval 1m is shorter than group_interval 5m",
        ),
    ] {
        let (errors, warnings) = compile(yaml);
        assert_eq!(errors, [""; 0], "{yaml}");
        assert!(
            warnings.iter().any(|warning| warning.contains(expected)),
            "{yaml}: {warnings:?}"
        );
    }
}

/// Ten thousand at once, and their cost; the figure itself is the bench's matter.
#[test]
fn each_alert_of_a_storm_is_notified_once_with_its_group() {
    let mut scene = Scene::new("routes: {receiver: chat, group_by: [mount], group_wait: 10s}");
    let storm: Vec<_> = (0..10_000)
        .map(|n| {
            fires(
                &alert(&format!("r{n}"), &[("mount", &format!("/{}", n % 100))]),
                after(1),
            )
        })
        .collect();
    scene.at(1, &storm).until(60);
    assert_eq!(scene.sent.len(), 10_000);
    assert!(
        scene
            .sent
            .iter()
            .all(|line| line.starts_with("11s chat: firing")
                && line.ends_with(Cause::Change.as_str()))
    );
    assert_eq!(scene.dispatcher.groups.len(), 100);
}

fn silenced(matchers: &str, until: u64) -> Command {
    let matchers = Matchers::parse(matchers).unwrap();
    let (ends_at, by) = (after(until).wall, "ada".to_owned());
    Command::Silence(SilenceDraft {
        matchers,
        ends_at,
        created_by: by,
        ..SilenceDraft::default()
    })
}

#[test]
fn a_channel_that_a_reload_adds_is_notified_once_the_silence_is_over() {
    let mut scene = Scene::new(&format!("routes: {{receiver: chat, {NO_WAIT}}}"));
    scene.at(1, &[fires(&disk("/a"), after(1))]);
    scene
        .dispatcher
        .execute(silenced("alertname=disk", 60), 1, after(2))
        .unwrap();
    assert_eq!(scene.take_sent(), ["1s chat: firing disk/a change"]);
    let moment = after(3).mono;
    let notified = NotifiedState {
        first: moment,
        last: moment,
        severity: Severity::Warning,
    };
    let other = routing(&format!("routes: {{receiver: mail, {NO_WAIT}}}"));
    let before = std::mem::replace(&mut scene.dispatcher, Dispatcher::new(other, after(3)));
    scene.dispatcher.continue_from(
        before,
        [(disk("/a").fingerprint, notified)].into(),
        after(3),
    );
    scene.until(59);
    assert_eq!(scene.take_sent(), [""; 0]);
    scene.until(70);
    let sent = scene.take_sent();
    assert!(
        sent.len() == 1 && sent[0].ends_with("mail: firing disk/a change"),
        "{sent:?}"
    );
}

#[test]
fn the_fallback_is_not_notified_of_silenced_alerts() {
    let mut scene = Scene::new(&format!(
        "{{receivers: [{{name: team, channels: [chat], fallback: mail}}],
           routes: {{receiver: team, {NO_WAIT}}}}}"
    ));
    scene.at(1, &[fires(&disk("/a"), after(1))]);
    scene
        .dispatcher
        .execute(silenced("alertname=disk", 60), 1, after(2))
        .unwrap();
    scene.feedback.rejected = vec![("chat".into(), disk("/a").fingerprint)];
    scene.until(3);
    scene.feedback.rejected.clear();
    scene.until(59);
    assert_eq!(scene.take_sent(), ["1s chat: firing disk/a change"]);
    scene.until(70);
    let sent = scene.take_sent();
    assert!(
        sent.len() == 1 && sent[0].ends_with("chat: firing disk/a change"),
        "{sent:?}"
    );
}

#[test]
fn an_acknowledgement_of_a_resolved_alert_is_not_restored() {
    let ack = Acknowledgement {
        by: "ada".into(),
        comment: String::new(),
        at: after(5).wall,
        until: None,
    };
    let held = |fired: u64| {
        let mut scene = Scene::new("{}");
        let alert = Alert {
            fired_at: Some(after(fired).wall),
            ..disk("/a")
        };
        let key = alert.fingerprint;
        let mut known = Acknowledgements::default();
        known.set(key, ack.clone());
        scene
            .dispatcher
            .restore(vec![Arc::new(alert)], HashMap::new(), after(20));
        let state = State {
            acknowledgements: known,
            ..State::default()
        };
        scene.dispatcher.restore_state(state, after(20));
        scene
            .dispatcher
            .acknowledgements()
            .active(key, after(20).wall)
            .is_some()
    };
    assert!(held(4));
    assert!(!held(6));
}

#[test]
fn a_notification_before_a_restart_does_not_hide_a_later_severity() {
    let mut scene = Scene::new(&format!(
        "routes: {{receiver: chat, group_by: ['...'], {NO_WAIT}}}"
    ));
    let notified = NotifiedState {
        first: after(0).mono,
        last: after(0).mono,
        severity: Severity::Warning,
    };
    let disk = disk("/a");
    let known = [(disk.fingerprint, notified)].into();
    scene
        .dispatcher
        .restore(vec![Arc::new(disk.clone())], known, after(0));
    scene.until(100).take_sent();
    scene.at(101, &[fires(&critical(disk.clone()), after(101))]);
    scene.at(102, &[fires(&disk, after(102))]).until(110);
    let sent = scene.take_sent();
    assert!(
        sent.len() == 2 && sent.iter().all(|line| line.ends_with("change")),
        "{sent:?}"
    );
}

#[test]
fn an_alert_is_tracked_until_its_resolved_is_sent_to_all() {
    let mut scene = Scene::new(&format!("routes: {{receiver: chat, {NO_WAIT}}}"));
    scene
        .at(1, &[fires(&disk("/a"), after(1))])
        .at(3, &[resolves(&disk("/a"), after(3))]);
    assert_eq!(scene.dispatcher.tracked_alerts().count(), 1);
    scene.until(4);
    assert_eq!(scene.dispatcher.tracked_alerts().count(), 0);
}

#[test]
fn a_notification_after_a_restart_has_an_unused_id() {
    let mut scene = Scene::new("routes: {receiver: chat}");
    // As a warning it was notified when it fired, with the id of that time.
    let worse = critical(disk("/a"));
    scene
        .dispatcher
        .restore(vec![Arc::new(worse.clone())], HashMap::new(), after(100));
    let restored = &scene.dispatcher.alerts[&worse.fingerprint];
    let notification = restored.notification(Cause::Change, &Arc::default(), after(200).wall);
    assert_eq!(notification.id, worse.change_id(after(100).wall));
    assert_ne!(notification.id, worse.change_id(worse.starts()));
}
