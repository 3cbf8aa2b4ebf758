//! State of the screen: the view, the selected row, the filter, a prompt. Keys change it.

use std::time::Duration;

use bellwether_core::UnixMillis;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::Value;

use super::data::Data;
use super::feed::{Curves, Needs, Order};
use super::prompt::{Action, Answer, Prompt};
use super::views::{ALERTS, COUNT, METRICS, OVERVIEW, VIEWS, shown_alerts};

/// Lengths of the curves, chosen by `[` and `]`.
const WINDOWS: [Duration; 6] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(24 * 3600),
    Duration::from_secs(7 * 24 * 3600),
];

/// Shortest and longest interval.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(64));

/// Time for which an alert that fires or is resolved is shown in the last line.
const NOTE: Duration = Duration::from_secs(15);

/// Longest filter.
const MAX_FILTER: usize = 80;

/// Receiver of the keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mode {
    Browse,
    /// The filter is typed.
    Filter,
    Help,
    Prompt(Prompt),
}

/// Text in the last line, until the next key.
#[derive(Clone, Debug)]
struct Note {
    /// An error is bad news.
    text: Result<String, String>,
    /// Time from which it is old.
    until: Option<UnixMillis>,
}

/// State of the screen.
#[derive(Clone, Debug)]
pub(super) struct State {
    view: usize,
    /// Selected row of each view.
    selected: [usize; COUNT],
    pub(super) filter: String,
    pub(super) mode: Mode,
    /// True to show the details of the selected row.
    pub(super) is_expanded: bool,
    is_frozen: bool,
    is_over: bool,
    interval: Duration,
    window: usize,
    /// Lines of the terminal; none for a page without an end.
    height: Option<usize>,
    note: Option<Note>,
    /// Author of silences and acknowledgements.
    user: String,
}

impl State {
    pub(super) fn new(view: usize, interval: Duration, user: String) -> Self {
        Self {
            view,
            selected: [0; COUNT],
            filter: String::new(),
            mode: Mode::Browse,
            is_expanded: false,
            is_frozen: false,
            is_over: false,
            interval: interval.clamp(INTERVALS.0, Duration::MAX),
            window: 1,
            height: None,
            note: None,
            user,
        }
    }

    /// Notes the lines of the terminal.
    pub(super) fn resize(&mut self, height: u16) {
        self.height = Some(usize::from(height));
    }

    pub(super) fn height(&self) -> Option<usize> {
        self.height
    }

    pub(super) fn view(&self) -> usize {
        self.view
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn window(&self) -> Duration {
        WINDOWS[self.window]
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns the selected one of `rows` rows.
    pub(super) fn selected(&self, rows: usize) -> usize {
        self.selected[self.view].min(rows.saturating_sub(1))
    }

    /// Returns whether a text passes the filter, without regard to case.
    pub(super) fn passes(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.filter.to_lowercase())
    }

    /// Returns what the view needs from the agent.
    pub(super) fn needs(&self) -> Needs {
        Needs {
            window: self.window(),
            curves: match self.view {
                OVERVIEW => Curves::Vitals,
                METRICS => Curves::Series,
                _ => Curves::None,
            },
        }
    }

    /// Shows the result of an order.
    pub(super) fn note(&mut self, text: Result<String, String>) {
        self.note = Some(Note { text, until: None });
    }

    /// Shows for a while that an alert fires or is resolved.
    pub(super) fn note_alert(&mut self, at: UnixMillis, text: Result<String, String>) {
        let until = Some(at.after(NOTE));
        self.note = Some(Note { text, until });
    }

    /// Returns the text of the last line, unless it is old.
    pub(super) fn noted(&self, now: UnixMillis) -> Option<&Result<String, String>> {
        let note = self.note.as_ref()?;
        let is_new = note.until.is_none_or(|until| now < until);
        is_new.then_some(&note.text)
    }

    /// Handles a key, and returns the orders that follow.
    pub(super) fn key(&mut self, key: KeyEvent, data: &Data) -> Vec<Order> {
        self.note = None;
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            self.is_over = true;
            return Vec::new();
        }
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Browse => self.browse(key, data),
            Mode::Filter => self.type_filter(key),
            // Any key closes the help.
            Mode::Help => Vec::new(),
            Mode::Prompt(prompt) => self.answer(prompt, key),
        }
    }

    fn browse(&mut self, key: KeyEvent, data: &Data) -> Vec<Order> {
        let rows = VIEWS[self.view].rows(data, self);
        match key.code {
            KeyCode::Char('q') => self.is_over = true,
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('f' | ' ') => return self.freeze(),
            KeyCode::Char('r') => return vec![Order::Refresh],
            KeyCode::Enter => self.is_expanded = !self.is_expanded,
            KeyCode::Esc => self.back(),
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => return self.show(self.view + 1),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => {
                return self.show(self.view + VIEWS.len() - 1);
            }
            KeyCode::Char(digit @ '1'..='9') => {
                let view = digit as usize - '1' as usize;
                if view < VIEWS.len() {
                    return self.show(view);
                }
            }
            KeyCode::Down | KeyCode::Char('j') => self.select(1, rows),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1, rows),
            KeyCode::PageDown => self.select(10, rows),
            KeyCode::PageUp => self.select(-10, rows),
            KeyCode::Home | KeyCode::Char('g') => self.select(isize::MIN, rows),
            KeyCode::End | KeyCode::Char('G') => self.select(isize::MAX, rows),
            KeyCode::Char('+' | '=') => return self.wait(self.interval * 2),
            KeyCode::Char('-') => return self.wait(self.interval / 2),
            KeyCode::Char('[') => return self.look_back(self.window.saturating_sub(1)),
            KeyCode::Char(']') => return self.look_back(self.window + 1),
            KeyCode::Char('a') => return self.acknowledge(data),
            KeyCode::Char('s') => self.ask(Action::Silence, data),
            _ => {}
        }
        Vec::new()
    }

    fn type_filter(&mut self, key: KeyEvent) -> Vec<Order> {
        self.mode = Mode::Filter;
        match key.code {
            KeyCode::Enter => self.mode = Mode::Browse,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Browse;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(typed) if self.filter.len() < MAX_FILTER => self.filter.push(typed),
            _ => {}
        }
        self.selected[self.view] = 0;
        Vec::new()
    }

    fn answer(&mut self, mut prompt: Prompt, key: KeyEvent) -> Vec<Order> {
        match prompt.key(key, &self.user) {
            Answer::Open => {
                self.mode = Mode::Prompt(prompt);
                Vec::new()
            }
            Answer::Cancelled => Vec::new(),
            Answer::Given(order) => vec![order],
        }
    }

    /// Leaves the details, then the filter.
    fn back(&mut self) {
        if self.is_expanded {
            self.is_expanded = false;
        } else {
            self.filter.clear();
        }
    }

    fn show(&mut self, view: usize) -> Vec<Order> {
        self.view = view % VIEWS.len();
        self.is_expanded = false;
        vec![Order::Show(self.needs())]
    }

    fn select(&mut self, by: isize, rows: usize) {
        let last = rows.saturating_sub(1);
        self.selected[self.view] = self.selected(rows).saturating_add_signed(by).min(last);
    }

    fn freeze(&mut self) -> Vec<Order> {
        self.is_frozen = !self.is_frozen;
        match self.is_frozen {
            true => Vec::new(),
            false => vec![Order::Refresh],
        }
    }

    fn wait(&mut self, interval: Duration) -> Vec<Order> {
        self.interval = interval.clamp(INTERVALS.0, INTERVALS.1);
        vec![Order::Interval(self.interval)]
    }

    fn look_back(&mut self, window: usize) -> Vec<Order> {
        self.window = window.min(WINDOWS.len() - 1);
        vec![Order::Show(self.needs())]
    }

    /// Asks before the selected alert is acknowledged; takes an acknowledgement back at once.
    fn acknowledge(&mut self, data: &Data) -> Vec<Order> {
        let Some(alert) = self.alert(data) else {
            return Vec::new();
        };
        if !alert["acknowledgedBy"].is_string() {
            self.ask(Action::Acknowledge, data);
            return Vec::new();
        }
        let fingerprint = alert["fingerprint"].as_str().unwrap_or_default();
        vec![Order::Delete {
            path: format!("/api/v1/alerts/{fingerprint}/acknowledge"),
            done: "the acknowledgement is taken back".to_owned(),
        }]
    }

    fn ask(&mut self, action: Action, data: &Data) {
        if let Some(alert) = self.alert(data) {
            self.mode = Mode::Prompt(Prompt::new(action, &alert));
        }
    }

    /// Returns the selected alert, on a view that has alerts.
    fn alert(&mut self, data: &Data) -> Option<Value> {
        let rows = VIEWS[self.view].rows(data, self);
        let has_alerts = matches!(self.view, OVERVIEW | ALERTS);
        let alerts = shown_alerts(data, self);
        let alert = alerts.get(self.selected(rows)).filter(|_| has_alerts);
        let alert = alert.map(|alert| (*alert).clone());
        if alert.is_none() {
            self.note(Err("no alert is selected; hint: 3 shows all".to_owned()));
        }
        alert
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state() -> State {
        State::new(0, Duration::from_secs(2), "ada".into())
    }

    fn data() -> Data {
        let alert = |rule: &str| {
            json!({"rule": rule, "fingerprint": rule, "state": "firing", "severity": "warning",
                "labels": {"alertname": rule}, "activeAt": "2026-01-01T00:00:00Z"})
        };
        Data {
            summary: json!({"alerts": {"active": [alert("disk"), alert("queue")]}}),
            ..Data::default()
        }
    }

    fn press(state: &mut State, keys: &str) -> Vec<Order> {
        let data = data();
        let mut orders = Vec::new();
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\u{1b}' => KeyCode::Esc,
                other => KeyCode::Char(other),
            };
            orders.extend(state.key(code.into(), &data));
        }
        orders
    }

    #[test]
    fn views_are_chosen_by_number_tab_and_arrows() {
        let mut state = state();
        press(&mut state, "3");
        assert_eq!(state.view(), ALERTS);
        press(&mut state, "\th");
        assert_eq!(state.view(), ALERTS);
        press(&mut state, "1h");
        assert_eq!(state.view(), VIEWS.len() - 1);
        press(&mut state, "9");
        assert_eq!(state.view(), VIEWS.len() - 1);
    }

    #[test]
    fn the_selected_alert_is_acknowledged() {
        let mut state = state();
        let orders = press(&mut state, "3jafixing it\n");
        let [Order::Show(_), Order::Change { path, body, .. }] = &orders[..] else {
            panic!("{orders:?}")
        };
        assert_eq!(path, "/api/v1/alerts/queue/acknowledge");
        assert_eq!(body["comment"], "fixing it");
        assert_eq!(state.mode, Mode::Browse);
    }

    #[test]
    fn letters_of_a_filter_are_no_commands() {
        let mut state = state();
        press(&mut state, "3");
        let orders = press(&mut state, "/q\n");
        assert!(orders.is_empty() && !state.is_over() && state.filter == "q");
        assert!(state.passes("QUEUE") && !state.passes("disk"));
        press(&mut state, "\u{1b}q");
        assert!(state.filter.is_empty() && state.is_over());
    }

    #[test]
    fn a_view_asks_for_its_curves_alone() {
        let mut state = state();
        let shown = |orders: Vec<Order>| match orders[..] {
            [Order::Show(needs)] => needs.curves,
            _ => panic!("{orders:?}"),
        };
        assert_eq!(shown(press(&mut state, "2")), Curves::Series);
        assert_eq!(shown(press(&mut state, "3")), Curves::None);
        assert_eq!(shown(press(&mut state, "1")), Curves::Vitals);
    }

    #[test]
    fn news_of_an_alert_grow_old_and_the_result_of_an_order_does_not() {
        let mut state = state();
        state.note_alert(UnixMillis(0), Err("disk is firing".into()));
        let noted = |state: &State, seconds: i64| state.noted(UnixMillis(seconds * 1000)).cloned();
        assert_eq!(noted(&state, 14), Some(Err("disk is firing".into())));
        assert_eq!(noted(&state, 15), None);
        state.note(Ok("done".into()));
        assert_eq!(noted(&state, 1_000_000), Some(Ok("done".into())));
        press(&mut state, "j");
        assert_eq!(noted(&state, 0), None);
    }

    #[test]
    fn interval_and_window_are_bounded() {
        let mut state = state();
        press(&mut state, "--------");
        assert_eq!(state.interval(), INTERVALS.0);
        press(&mut state, "+++++++++++");
        assert_eq!(state.interval(), INTERVALS.1);
        press(&mut state, "]]]]]]]]]");
        assert_eq!(state.window(), WINDOWS[5]);
        press(&mut state, "[[[[[[[[[");
        assert_eq!(state.window(), WINDOWS[0]);
    }
}
