//! Keeps the data of the screen up to date, on a thread of its own: by the agent's live updates, by questions about
//! what those do not have, and by questions alone where there are none. Carries out what the user orders.

mod agent;
mod live;
mod questions;
mod schedule;

use std::sync::mpsc::Sender;
use std::time::Duration;

use agent::Agent;
use bellwether_core::{MonoMillis, UnixMillis};
use bellwether_runtime::Clock;
use live::Live;
use schedule::{Ask, Schedule};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::Input;
use super::data::{Data, Link};
use super::plot::Plot;
use super::state::State;
use crate::cli::Global;
use crate::cli::client::{LiveError, Target};

/// Interval of questions about what live updates do not have, unless something happens.
const SLOW: Duration = Duration::from_secs(10);
/// Interval of the question for the list of metrics, and of attempts to get live updates where they are refused.
const RARE: Duration = Duration::from_secs(60);
/// Time within which changes are shown together.
const TOGETHER: Duration = Duration::from_millis(100);
/// Longest time between two attempts to connect.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Order of the user.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// Show this from now on.
    Show(Needs),
    /// Ask for everything now.
    Refresh,
    /// Wait so long between two questions.
    Interval(Duration),
    /// Send a request that changes state, and say `done` if it succeeds.
    Change {
        path: String,
        body: Value,
        done: String,
    },
    /// Take back what the path names.
    Delete { path: String, done: String },
}

/// Data that the view in front needs, beside what all need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Needs {
    /// Length of the curves.
    pub(super) window: Duration,
    pub(super) curves: Curves,
}

/// Curves of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curves {
    None,
    Vitals,
    Series,
}

/// Something for the screen.
pub(super) enum News {
    Data(Box<Data>),
    /// An order was carried out, or not.
    Ordered(Result<String, String>),
    /// An alert fires or is resolved, at this time; an error is bad news.
    Alert(UnixMillis, Result<String, String>),
}

impl News {
    /// Puts the news into what is shown.
    pub(super) fn apply(self, data: &mut Data, state: &mut State) {
        match self {
            Self::Data(new) if state.is_frozen() => {
                data.link = new.link;
                data.failing = new.failing;
            }
            Self::Data(new) => *data = *new,
            Self::Ordered(result) => state.note(result),
            Self::Alert(at, text) => state.note_alert(at, text),
        }
    }
}

/// Connection to the agent, and the data that came over it.
pub(super) struct Feed {
    agent: Agent,
    clock: Clock,
    needs: Needs,
    interval: Duration,
    connection: Connection,
    /// Attempts to connect since the last that went well.
    attempts: u32,
    schedule: Schedule,
    /// Time of the last answer with the summary.
    summarized: MonoMillis,
    data: Data,
    /// True if the screen lacks something, and the time when it lacked nothing.
    is_changed: bool,
    shown: MonoMillis,
    /// Runtime of waiting while there is no client.
    idle: Runtime,
}

enum Connection {
    Away,
    Polled,
    Live(Box<Live>),
}

/// Event that the feed waits for.
enum Step {
    Over,
    Order(Order),
    /// Message of the agent; none if the connection has ended.
    Message(Option<Value>),
    Due,
}

impl Feed {
    /// Creates the feed. Sends nothing.
    ///
    /// # Errors
    /// The system has no timers.
    pub(super) fn new(
        global: Global,
        target: Target,
        needs: Needs,
        interval: Duration,
    ) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let now = clock.now().mono;
        let agent = Agent::new(global, target);
        // A warning about certificates is printed before the screen is taken. Errors are shown on it.
        agent.client().ok();
        Ok(Self {
            agent,
            clock,
            needs,
            interval,
            connection: Connection::Away,
            attempts: 0,
            schedule: Schedule::default(),
            summarized: now,
            data: Data::default(),
            is_changed: false,
            shown: now,
            idle: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()?,
        })
    }

    /// Asks for everything once.
    ///
    /// # Errors
    /// The agent does not answer.
    pub(super) fn look(mut self) -> anyhow::Result<Data> {
        self.data.link = Link::Polled(None);
        for ask in Ask::ALWAYS {
            self.ask(ask)?;
        }
        for place in 0..self.front().len() {
            self.ask(Ask::Plot(place))?;
        }
        Ok(self.data)
    }

    /// Sends news and carries out `orders`, until the other side is gone.
    pub(super) fn run(mut self, mut orders: UnboundedReceiver<Order>, inputs: &Sender<Input>) {
        self.schedule.bring(Ask::Connection, self.now());
        loop {
            let step = self.step(&mut orders);
            let news = match step {
                Step::Over => return,
                Step::Order(order) => self.obey(order),
                Step::Message(Some(message)) => self.receive(&message),
                Step::Message(None) => {
                    self.disconnect();
                    None
                }
                Step::Due => {
                    self.ask_due();
                    None
                }
            };
            let news = [news, self.newest()];
            let mut news = news.into_iter().flatten();
            if news.any(|news| inputs.send(Input::News(news)).is_err()) {
                return;
            }
        }
    }

    fn now(&self) -> MonoMillis {
        self.clock.now().mono
    }

    /// Returns the data if the screen lacks some of it, and nothing more is about to come.
    fn newest(&mut self) -> Option<News> {
        let now = self.now();
        let is_quiet = self.schedule.next().is_none_or(|next| next > now);
        if !self.is_changed || !is_quiet && now.since(self.shown) < TOGETHER {
            return None;
        }
        (self.is_changed, self.shown) = (false, now);
        Some(News::Data(Box::new(self.data.clone())))
    }

    fn step(&mut self, orders: &mut UnboundedReceiver<Order>) -> Step {
        let now = self.now();
        let wait = self
            .schedule
            .next()
            .map_or(MAX_BACKOFF, |next| next.since(now));
        let connection = &mut self.connection;
        let step = async {
            let message = async {
                match connection {
                    Connection::Live(live) => live.socket.next().await,
                    Connection::Away | Connection::Polled => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                order = orders.recv() => order.map_or(Step::Over, Step::Order),
                message = message => Step::Message(message),
                () = sleep(wait) => Step::Due,
            }
        };
        match self.agent.client() {
            Ok(client) => client.wait(step),
            Err(_) => self.idle.block_on(step),
        }
    }

    fn obey(&mut self, order: Order) -> Option<News> {
        let now = self.now();
        match order {
            Order::Show(needs) => {
                self.needs = needs;
                self.show_front();
                None
            }
            Order::Refresh => {
                match self.connection {
                    Connection::Live(_) => self.refresh(),
                    Connection::Away | Connection::Polled => {
                        self.schedule.bring(Ask::Connection, now);
                    }
                }
                None
            }
            Order::Interval(interval) => {
                self.interval = interval;
                for ask in self.schedule.asks() {
                    if let Some(pace) = self.pace(ask) {
                        self.schedule.bring(ask, now.after(pace));
                    }
                }
                None
            }
            Order::Change { path, body, done } => {
                self.schedule.bring(Ask::Summary, now);
                Some(News::Ordered(self.agent.change(&path, Some(&body), done)))
            }
            Order::Delete { path, done } => {
                self.schedule.bring(Ask::Summary, now);
                Some(News::Ordered(self.agent.change(&path, None, done)))
            }
        }
    }

    /// Notes that there is something new of this time for the screen.
    fn changed(&mut self, at: UnixMillis) {
        self.data.at = at;
        self.data.failing = None;
        self.is_changed = true;
    }

    /// Plots of the view in front.
    fn front(&self) -> &[Plot] {
        match self.needs.curves {
            Curves::None => &[],
            Curves::Vitals => &self.data.vitals,
            Curves::Series => &self.data.series,
        }
    }

    fn front_mut(&mut self) -> &mut [Plot] {
        match self.needs.curves {
            Curves::None => &mut [],
            Curves::Vitals => &mut self.data.vitals,
            Curves::Series => &mut self.data.series,
        }
    }

    /// Asks for the curves in front, and subscribes to them.
    fn show_front(&mut self) {
        if matches!(self.connection, Connection::Away) {
            return;
        }
        let now = self.now();
        self.schedule.forget_plots();
        for place in 0..self.front().len() {
            self.schedule.bring(Ask::Plot(place), now);
        }
        self.subscribe();
    }

    /// Asks for everything now.
    fn refresh(&mut self) {
        let now = self.now();
        for ask in Ask::ALWAYS {
            self.schedule.bring(ask, now);
        }
        self.show_front();
    }

    fn connect(&mut self) {
        match self.agent.live() {
            Ok(socket) => {
                self.connection = Connection::Live(Box::new(Live::new(socket)));
                self.data.link = Link::Live;
                self.schedule.bring(Ask::Metrics, self.now());
                self.schedule.bring(Ask::Score, self.now());
                self.show_front();
            }
            Err(LiveError::Refused(reason)) => {
                self.connection = Connection::Polled;
                self.attempts = 0;
                self.data.link = Link::Polled(Some(reason));
                self.refresh();
                self.schedule.bring(Ask::Connection, self.now().after(RARE));
            }
            Err(LiveError::Unanswered(error)) => self.fail(&error),
        }
    }

    /// Notes that the agent does not answer. The data stay.
    fn fail(&mut self, error: &anyhow::Error) {
        let since = self.data.failing.take().map(|(since, _)| since);
        let since = since.unwrap_or_else(|| self.clock.now().wall);
        self.data.failing = Some((since, format!("{error:#}")));
        self.is_changed = true;
        self.disconnect();
    }

    /// Ends the connection, and begins another one after a while.
    fn disconnect(&mut self) {
        self.connection = Connection::Away;
        // An agent that was started again may be at another address.
        self.agent.renew();
        self.schedule = Schedule::default();
        let wait = backoff(self.attempts).mul_f64(0.75 + fastrand::f64() / 2.0);
        self.schedule.bring(Ask::Connection, self.now().after(wait));
        self.attempts = self.attempts.saturating_add(1);
    }
}

/// Time before the next attempt to connect: doubled after each one.
fn backoff(attempts: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.min(16));
    (Duration::from_millis(250) * doubled).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_to_connect_become_rarer_and_do_not_end() {
        let waits = [0, 1, 2, 5, 6, u32::MAX].map(|attempts| backoff(attempts).as_millis());
        assert_eq!(waits, [250, 500, 1000, 8000, 10_000, 10_000]);
    }
}
