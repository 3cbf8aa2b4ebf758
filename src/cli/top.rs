//! `bellwether top`: a running Bellwether on the whole terminal, live.
//!
//! A thread follows the agent (`feed`); keys change a state (`state`); a screen is drawn of both (`screen`, `views`).
//! The middle is pure: it knows neither the terminal nor the clock.

mod data;
mod feed;
mod plot;
mod prompt;
mod query;
mod screen;
mod state;
mod terminal;
mod theme;
mod views;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::bail;
use bellwether_runtime::Clock;
use clap::Args;
use data::Data;
use feed::{Feed, News, Order};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyEventKind};
use ratatui::layout::Rect;
use screen::Screen;
use state::State;
use terminal::Guard;
use theme::Theme;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::Global;
use super::client::Target;
use super::output;
use super::range::duration;
use super::silence::user;

/// Time after which the clock on the screen goes on.
const TICK: Duration = Duration::from_secs(1);
/// Size of `--once` without a terminal.
const PAGE: (u16, u16) = (100, 400);

#[derive(Args)]
pub(super) struct Options {
    /// Shortest time between two questions to the agent about what it does not send by itself.
    #[arg(long, short = 'n', value_name = "DURATION", default_value = "2s", value_parser = duration)]
    interval: Duration,
    /// Begin with this view: overview, metrics, alerts, collectors or health.
    #[arg(long, value_name = "VIEW", value_parser = views::parse, default_value = "overview")]
    view: usize,
    /// Draw with characters of ASCII only. Default: where the locale has no UTF-8.
    #[arg(long)]
    ascii: bool,
    /// Print one screen and end, as without a terminal.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(global: &Global, options: Options) -> anyhow::Result<()> {
    let theme = Theme::new(options.ascii, output::screen().colours);
    let mut state = State::new(options.view, options.interval, user());
    let feed = Feed::new(
        global.clone(),
        options.target,
        state.needs(),
        state.interval(),
    )?;
    if options.once || !output::is_terminal() {
        let data = feed.look()?;
        print!("{}", once(&data, &state, &theme));
        return Ok(());
    }
    let mut terminal = Guard::enter()?;
    let result = start(feed)
        .and_then(|(orders, inputs)| watch(&mut terminal, &mut state, &theme, &orders, &inputs));
    drop(terminal);
    result
}

/// Something that the screen follows.
enum Input {
    Terminal(io::Result<Event>),
    News(News),
}

/// Starts the threads of the feed and of the keys.
fn start(feed: Feed) -> anyhow::Result<(UnboundedSender<Order>, Receiver<Input>)> {
    let (order_sender, orders) = unbounded_channel();
    let (input_sender, inputs) = channel();
    let events = input_sender.clone();
    terminal::listen(move |event| events.send(Input::Terminal(event)).is_ok())?;
    std::thread::Builder::new()
        .name("feed".into())
        .spawn(move || feed.run(orders, &input_sender))?;
    Ok((order_sender, inputs))
}

/// Draws until the user quits.
fn watch(
    terminal: &mut Guard,
    state: &mut State,
    theme: &Theme,
    orders: &UnboundedSender<Order>,
    inputs: &Receiver<Input>,
) -> anyhow::Result<()> {
    let clock = Clock::start();
    let mut data = Data::default();
    state.resize(terminal.height()?);
    while !state.is_over() {
        let now = clock.now().wall;
        terminal.draw(|area, buffer| {
            Screen {
                data: &data,
                state,
                theme: *theme,
                now,
                area,
            }
            .draw(buffer);
        })?;
        let first = match inputs.recv_timeout(TICK) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => bail!("the feed has stopped"),
        };
        for input in first.into_iter().chain(inputs.try_iter()) {
            match input {
                Input::News(news) => news.apply(&mut data, state),
                Input::Terminal(event) => handle(&event?, state, &data, orders),
            }
        }
    }
    Ok(())
}

/// Changes the state by an event of the terminal, and sends the orders that follow.
fn handle(event: &Event, state: &mut State, data: &Data, orders: &UnboundedSender<Order>) {
    match event {
        Event::Resize(_, height) => state.resize(*height),
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            for order in state.key(*key, data) {
                orders.send(order).ok();
            }
        }
        _ => {}
    }
}

/// Formats one screen as text.
fn once(data: &Data, state: &State, theme: &Theme) -> String {
    let screen = output::screen();
    let width = screen
        .width
        .map_or(PAGE.0, |width| u16::try_from(width).unwrap_or(PAGE.0));
    let area = Rect::new(0, 0, width, PAGE.1);
    let mut buffer = Buffer::empty(area);
    Screen {
        data,
        state,
        theme: *theme,
        now: data.at,
        area,
    }
    .draw_page(&mut buffer);
    terminal::text(&buffer, screen.colours)
}
