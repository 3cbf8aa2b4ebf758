//! `bellwether top`: a running Bellwether on the whole terminal, live.
//!
//! A thread asks the agent (`feed`); keys change a state (`state`); a screen is drawn of both (`screen`, `views`).
//! The middle is pure: it knows neither the terminal nor the clock.

mod data;
mod feed;
mod prompt;
mod screen;
mod state;
mod terminal;
mod theme;
mod views;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

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

use super::Global;
use super::client::Target;
use super::output;
use super::range::duration;
use super::silence::user;

/// Time to wait for a key before the clock on the screen goes on.
const TICK: Duration = Duration::from_millis(200);
/// Size of `--once` without a terminal.
const PAGE: (u16, u16) = (100, 400);

#[derive(Args)]
pub(super) struct Options {
    /// Time between two looks at the agent.
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
    let feed = Feed::new(global.clone(), options.target);
    if options.once || !output::is_terminal() {
        let data = feed.look(state.request())?;
        print!("{}", once(&data, &state, &theme));
        return Ok(());
    }
    let (orders, news) = start(feed, &state)?;
    let mut terminal = Guard::enter()?;
    let result = watch(&mut terminal, &mut state, &theme, &orders, &news);
    drop(terminal);
    result
}

/// Starts the thread of the feed.
fn start(feed: Feed, state: &State) -> anyhow::Result<(Sender<Order>, Receiver<News>)> {
    let (order_sender, orders) = channel();
    let (news_sender, news) = channel();
    let (interval, request) = (state.interval(), state.request());
    std::thread::Builder::new()
        .name("feed".into())
        .spawn(move || feed.run(interval, request, &orders, &news_sender))?;
    Ok((order_sender, news))
}

/// Draws until the user quits.
fn watch(
    terminal: &mut Guard,
    state: &mut State,
    theme: &Theme,
    orders: &Sender<Order>,
    news: &Receiver<News>,
) -> anyhow::Result<()> {
    let clock = Clock::start();
    let mut data = Data::default();
    while !state.is_over() {
        for news in news.try_iter() {
            news.apply(&mut data, state);
        }
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
        match terminal.event(TICK)? {
            Some(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                for order in state.key(key, &data) {
                    orders.send(order).ok();
                }
            }
            _ => {}
        }
    }
    Ok(())
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
