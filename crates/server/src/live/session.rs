//! One client: what it asks for, and the messages that it gets, one after the other.
//!
//! Nothing is queued for it but the events of the feed. What changes while a message is on its way
//! is sent with the next one, in its newest state.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_websockets::{CloseCode, Error, Limits, Message, ServerBuilder, WebSocketStream};

use super::clients::Goodbye;
use super::feed::Event;
use super::hub::Seat;
use super::initial::initial_data;
use super::message::{self, Misunderstood, Request, Subject, Update};
use super::message_type::MessageType;
use super::rounds::evaluate_first;
use super::settings::LiveLimits;
use super::topic::{Newest, Topic};
use crate::api::shared::Shared;

/// Timeout of the change of protocols after the response.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time between two checks of the client. What changes is said at once.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
/// Timeout of the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Session of one client.
pub(crate) struct Session {
    shared: Arc<Shared>,
    seat: Seat,
    limits: SessionLimits,
    events: broadcast::Receiver<Event>,
    rounds: watch::Receiver<u64>,
    subscriptions: Vec<Subscription>,
}

/// Limits of a session, those of its beginning.
#[derive(Clone, Copy)]
struct SessionLimits {
    subscriptions: usize,
    message_bytes: usize,
    ping: Duration,
    idle: Duration,
}

impl From<&LiveLimits> for SessionLimits {
    fn from(limits: &LiveLimits) -> Self {
        Self {
            subscriptions: *limits.max_subscriptions as usize,
            message_bytes: *limits.max_message_bytes as usize,
            ping: **limits.ping_interval,
            idle: **limits.idle_timeout,
        }
    }
}

struct Subscription {
    /// Id that the client chose; none for the text of the subject.
    id: Option<Box<str>>,
    topic: Arc<Topic>,
    /// Version of the newest result that was sent.
    sent: u64,
}

impl Subscription {
    fn id(&self) -> &str {
        match &self.id {
            Some(id) => id,
            None => self.topic.subject.text(),
        }
    }
}

/// End of a session.
enum End {
    /// The client has left, or its connection failed.
    Left,
    /// The server closes it.
    Goodbye(CloseCode, &'static str),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(_) | Error::AlreadyClosed => Self::Left,
            Error::PayloadTooLong { .. } => {
                let why = "a message is longer than max_message_bytes";
                Self::Goodbye(CloseCode::MESSAGE_TOO_BIG, why)
            }
            // The library has queued the right code.
            _ => Self::Goodbye(CloseCode::PROTOCOL_ERROR, ""),
        }
    }
}

impl From<Result<Goodbye, oneshot::error::RecvError>> for End {
    fn from(goodbye: Result<Goodbye, oneshot::error::RecvError>) -> Self {
        goodbye.unwrap_or(Goodbye::Stop).into()
    }
}

impl From<Goodbye> for End {
    fn from(goodbye: Goodbye) -> Self {
        match goodbye {
            Goodbye::Stop => Self::Goodbye(CloseCode::GOING_AWAY, "the server stops"),
            Goodbye::Access => {
                let why = "the access rules were reloaded; connect again";
                Self::Goodbye(CloseCode::SERVICE_RESTART, why)
            }
            Goodbye::Replaced => {
                let why = "a client of another address needs the place";
                Self::Goodbye(CloseCode::SERVICE_OVERLOAD, why)
            }
            Goodbye::Ended(why) => Self::Goodbye(CloseCode::POLICY_VIOLATION, why),
        }
    }
}

/// Event that a session waits for.
enum Step {
    Message(Option<Result<Message, Error>>),
    Event(Result<Event, broadcast::error::RecvError>),
    Round,
    Timer,
    End(End),
}

impl Session {
    /// Creates the session of the client in `seat`.
    pub(crate) fn new(shared: Arc<Shared>, seat: Seat, limits: &LiveLimits) -> Self {
        let events = shared.backend.live().events();
        let rounds = shared.live.rounds.subscribe();
        Self {
            shared,
            seat,
            limits: limits.into(),
            events,
            rounds,
            subscriptions: Vec::new(),
        }
    }

    /// Serves the client once its connection is upgraded, in a task of its own.
    pub(crate) fn spawn(self, upgrade: OnUpgrade) {
        let shared = Arc::clone(&self.shared);
        // Boxed: the task is as small as it can be, for there are many.
        let serving = Box::pin(async move {
            if let Ok(Ok(upgraded)) = timeout(UPGRADE_TIMEOUT, upgrade).await {
                self.serve(upgraded).await;
            }
        });
        shared.live.sessions.spawn(serving);
    }

    async fn serve(mut self, upgraded: Upgraded) {
        let limits = Limits::default().max_payload_len(Some(self.limits.message_bytes));
        let mut socket = ServerBuilder::new()
            .limits(limits)
            .serve(TokioIo::new(upgraded));
        if let Err(End::Goodbye(code, reason)) = self.follow(&mut socket).await {
            let closing = async {
                if !reason.is_empty() {
                    socket.send(Message::close(Some(code), reason)).await.ok();
                }
                socket.close().await.ok();
            };
            timeout(CLOSE_TIMEOUT, closing).await.ok();
        }
    }

    async fn follow(&mut self, socket: &mut Socket) -> Result<(), End> {
        // Whatever changed since the handshake was checked ended only the clients of then.
        let mut checked = self.check_reader()?;
        self.send_initial(socket).await?;
        let mut heard = Instant::now();
        let mut pinged = heard;
        loop {
            let timer = (pinged + self.limits.ping)
                .min(heard + self.limits.idle)
                .min(checked);
            match self.step(socket, timer).await {
                Step::Message(Some(message)) => {
                    heard = Instant::now();
                    self.answer(socket, &message?).await?;
                }
                Step::Message(None) => return Err(End::Left),
                Step::Event(event) => self.send_event(socket, event).await?,
                Step::Round => self.send_update(socket).await?,
                Step::Timer if heard.elapsed() >= self.limits.idle => {
                    let why = "nothing was heard of the client for idle_timeout";
                    return Err(End::Goodbye(CloseCode::POLICY_VIOLATION, why));
                }
                Step::Timer if Instant::now() >= checked => checked = self.check_reader()?,
                Step::Timer => {
                    pinged = Instant::now();
                    self.send(socket, MessageType::Ping, Message::ping(Bytes::new()))
                        .await?;
                }
                Step::End(end) => return Err(end),
            }
        }
    }

    /// Checks that the client may still read, and returns the time of the next check.
    fn check_reader(&self) -> Result<Instant, End> {
        let access = self.shared.access.load();
        let rights = self.shared.rights(&access);
        if let Some(why) = self.seat.reader.ended(&rights) {
            return Err(Goodbye::Ended(why).into());
        }
        let ends_ms = self.seat.reader.ends_ms(&rights).unwrap_or(u64::MAX);
        let left = Duration::from_millis(ends_ms.saturating_sub(rights.now_ms));
        Ok(Instant::now() + left.min(CHECK_INTERVAL))
    }

    async fn step(&mut self, socket: &mut Socket, timer: Instant) -> Step {
        tokio::select! {
            biased;
            goodbye = &mut self.seat.goodbye => Step::End(goodbye.into()),
            message = socket.next() => Step::Message(message),
            event = self.events.recv() => Step::Event(event),
            _ = self.rounds.changed() => Step::Round,
            () = sleep_until(timer) => Step::Timer,
        }
    }

    /// Answers a message of the client.
    async fn answer(&mut self, socket: &mut Socket, message: &Message) -> Result<(), End> {
        if message.is_binary() {
            let error = "a message is not text; hint: send JSON in text frames";
            return self.send_error(socket, None, error).await;
        }
        let Some(text) = message.as_text() else {
            // A ping is answered by the library, and so is a close.
            return Ok(());
        };
        match Request::parse(text) {
            Ok(Request::Subscribe { id, subject }) => self.subscribe(socket, id, &subject).await,
            Ok(Request::Unsubscribe { id }) => self.unsubscribe(socket, &id).await,
            Err(Misunderstood { id, error }) => {
                self.send_error(socket, id.as_deref(), &error).await
            }
        }
    }

    async fn subscribe(
        &mut self,
        socket: &mut Socket,
        id: Option<Box<str>>,
        subject: &Subject,
    ) -> Result<(), End> {
        let shown = id.as_deref().unwrap_or(subject.text());
        let is_new = self.subscriptions.iter().all(|other| other.id() != shown);
        if is_new && self.subscriptions.len() >= self.limits.subscriptions {
            let error = format!(
                "there are {} subscriptions already; hint: unsubscribe, or raise \
                 prometheus.live.max_subscriptions",
                self.limits.subscriptions
            );
            return self.send_error(socket, Some(shown), &error).await;
        }
        let topic = match self.evaluated(subject).await? {
            Ok(topic) => topic,
            Err(error) => return self.send_error(socket, Some(shown), &error).await,
        };
        let (sent, newest) = topic.newest();
        let subscription = Subscription { id, topic, sent };
        let answer = match &newest.result {
            Ok(series) => message::subscribed(subscription.id(), newest.at, series),
            Err(error) => message::error(Some(subscription.id()), error),
        };
        self.subscriptions
            .retain(|other| other.id() != subscription.id());
        self.subscriptions.push(subscription);
        self.send(socket, MessageType::Subscribed, Message::text(answer))
            .await
    }

    /// Returns the topic of `subject` with its first result, or the error for the client.
    async fn evaluated(&mut self, subject: &Subject) -> Result<Result<Arc<Topic>, String>, End> {
        let shared = &self.shared;
        let evaluated = async {
            let topic = shared.live.topic(subject)?;
            evaluate_first(shared, &topic).await?;
            Ok(topic)
        };
        tokio::select! {
            biased;
            goodbye = &mut self.seat.goodbye => Err(goodbye.into()),
            topic = evaluated => Ok(topic.map_err(|error: crate::ApiError| error.text())),
        }
    }

    async fn unsubscribe(&mut self, socket: &mut Socket, id: &str) -> Result<(), End> {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|other| other.id() != id);
        if self.subscriptions.len() == before {
            let error = "there is no such subscription; hint: the \"id\" of the subscribe message";
            return self.send_error(socket, Some(id), error).await;
        }
        Ok(())
    }

    /// Sends the newest results that the client lacks.
    async fn send_update(&mut self, socket: &mut Socket) -> Result<(), End> {
        self.rounds.mark_unchanged();
        let mut newer: Vec<(usize, Newest)> = Vec::new();
        for (index, subscription) in self.subscriptions.iter_mut().enumerate() {
            if let Some((version, newest)) = subscription.topic.newer_than(subscription.sent) {
                let skipped = version - subscription.sent - 1;
                self.shared.live.stats.drop_results(skipped);
                subscription.sent = version;
                newer.push((index, newest));
            }
        }
        let bytes = newer
            .iter()
            .filter_map(|(_, newest)| newest.result.as_ref().ok());
        let mut update = Update::message(bytes.map(|series| series.len() + 60).sum());
        for (index, newest) in newer {
            match &newest.result {
                Ok(series) => update.push(self.subscriptions[index].id(), newest.at, series),
                Err(error) => {
                    let text = message::error(Some(self.subscriptions[index].id()), error);
                    self.send(socket, MessageType::Error, Message::text(text))
                        .await?;
                }
            }
        }
        if update.is_empty() {
            return Ok(());
        }
        let text: Bytes = update.finish().into();
        self.send(socket, MessageType::MetricsUpdate, Message::text(text))
            .await
    }

    async fn send_event(
        &mut self,
        socket: &mut Socket,
        event: Result<Event, broadcast::error::RecvError>,
    ) -> Result<(), End> {
        match event {
            Ok(Event { kind, text }) => self.send(socket, kind, Message::text(text)).await,
            // The client has missed some, and gets the state of everything.
            Err(_) => {
                self.events = self.shared.backend.live().events();
                self.send_initial(socket).await
            }
        }
    }

    async fn send_initial(&mut self, socket: &mut Socket) -> Result<(), End> {
        let text = initial_data(&self.shared).await;
        self.send(socket, MessageType::InitialData, Message::text(text))
            .await
    }

    async fn send_error(
        &mut self,
        socket: &mut Socket,
        id: Option<&str>,
        error: &str,
    ) -> Result<(), End> {
        let text = message::error(id, error);
        self.send(socket, MessageType::Error, Message::text(text))
            .await
    }

    /// Sends one message, and waits until the client has taken it.
    async fn send(
        &mut self,
        socket: &mut Socket,
        kind: MessageType,
        message: Message,
    ) -> Result<(), End> {
        let sending = timeout(self.limits.idle, socket.send(message));
        tokio::select! {
            biased;
            sent = sending => sent.map_err(|_| End::Left)??,
            goodbye = &mut self.seat.goodbye => return Err(goodbye.into()),
        }
        self.shared.live.stats.sent(kind);
        Ok(())
    }
}
