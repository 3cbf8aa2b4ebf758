//! `bellwether silence`: who is not told of what, for how long.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::Global;
use super::asking::{Asking, list, text};

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Silence the alerts that matchers accept.
    Add(Add),
    /// Show the silences; those that ended with --all.
    List {
        /// Also those that ended.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// End a silence now.
    Expire {
        /// Its identity, as `list` shows it.
        id: String,
        #[command(flatten)]
        asking: Asking,
    },
}

#[derive(Args)]
struct Add {
    /// Which alerts: 'alertname=disk_full' 'mount_point=~"/data.*"'; all must accept.
    #[arg(required = true)]
    matchers: Vec<String>,
    /// For how long.
    #[arg(long = "for", value_name = "DURATION")]
    duration: String,
    /// From when (RFC 3339); now if it is not said.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Who silences; the user of this shell if it is not said.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// What for.
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    asking: Asking,
}

const PATH: &str = "/api/v1/silences";

/// The user of this shell.
pub(super) fn user() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|name| !name.is_empty());
    named("SUDO_USER").or_else(|| named("USER")).unwrap_or_else(|| "somebody".into())
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    match &options.command {
        Command::Add(add) => {
            let mut body = json!({
                "matchers": add.matchers,
                "duration": add.duration,
                "created_by": add.by.clone().unwrap_or_else(user),
                "comment": add.comment,
            });
            if let Some(from) = &add.from {
                body["starts_at"] = json!(from);
            }
            let made = add.asking.change(global, Method::POST, PATH, Some(&body))?;
            add.asking.show(&made, |made| format!("{}\n", text(&made["id"])));
        }
        Command::List { all, asking } => {
            let data = asking.ask(global, PATH, &[])?;
            asking.show(&data, |data| screen(data, *all));
        }
        Command::Expire { id, asking } => {
            let ended = asking.change(global, Method::DELETE, &format!("{PATH}/{id}"), None)?;
            asking.show(&ended, |ended| format!("{} ends now\n", text(&ended["id"])));
        }
    }
    Ok(())
}

fn screen(data: &Value, all: bool) -> String {
    let wanted = |silence: &&Value| all || silence["state"] != "expired";
    let silences: Vec<&Value> = list(&data["silences"]).iter().filter(wanted).collect();
    if silences.is_empty() {
        return "no silences\n".into();
    }
    let mut out = String::new();
    for silence in silences {
        let idle = silence["state"] == "active" && silence["holds"] == false;
        let state = if idle { "waiting".into() } else { text(&silence["state"]) };
        out += &format!(
            "{}  {state}  {}\n  {} to {}  by {}  {}\n",
            text(&silence["id"]),
            text(&silence["matchers"]),
            text(&silence["startsAt"]),
            text(&silence["endsAt"]),
            text(&silence["createdBy"]),
            text(&silence["comment"]),
        );
    }
    out
}
