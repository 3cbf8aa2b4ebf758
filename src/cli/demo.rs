//! `bellwether demo`: an agent with two weeks of made data, in memory.

use clap::Args;

use bellwether_agent::app::{self, Overrides};

#[derive(Args)]
pub(super) struct Options {
    /// Listen on ADDRESS:PORT or :PORT.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9091")]
    listen: String,
    /// Number that the data are made of: the same one makes the same data.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    eprintln!("Making two weeks of data of a shop that does not exist ...");
    let overrides = Overrides {
        listen_address: Some(options.listen.clone()),
        ..Overrides::default()
    };
    app::run_demo(options.seed, overrides, |url| {
        eprintln!(
            "The demo is at {url}, until Ctrl-C. Nothing is written to disk, and nothing is sent."
        );
    })
}
