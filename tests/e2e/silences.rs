//! Silences as people keep them: recurring ones made at the shell, and files.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::receiver::Receiver;
use crate::{queue_rule, set_queue};

const SOON: Duration = Duration::from_secs(60);

/// A rule on queues, with files of silences and two time intervals.
fn configuration(receiver: &Receiver) -> String {
    let pager = format!(
        "{{type: webhook, name: pager, url: \"http://{}/\"}}",
        receiver.address()
    );
    let more = "alerting:
    silence_files: ['silences/*.yml']
    time_intervals:
      - {name: always, time_intervals: [{weekdays: ['sunday:saturday']}]}
      - {name: long_ago, time_intervals: [{years: ['1999']}]}";
    queue_rule(&pager).replace("alerting:", more)
}

/// Runs `bellwether silence`: its exit status, and what it printed.
fn silence(agent: &Agent, arguments: &[&str]) -> (Option<i32>, String) {
    let url = format!("http://{}", agent.address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let output = command
        .arg("silence")
        .args(arguments)
        .args(["--url", &url])
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

fn write(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join("silences")).unwrap();
    fs::write(folder.join("silences/a.yml"), text).unwrap();
}

/// Waits until a silence mutes the alert of `queue`.
fn wait_until_muted(agent: &Agent, queue: &str, words: &str) {
    poll(&format!("{queue} muted by {words}"), SOON, || {
        let selector = format!("match[]=%7Bqueue_name%3D%22{queue}%22%7D");
        let (_, history) = agent.get(&format!("/api/v1/alerts/history?event=muted&{selector}"));
        history.contains(words).then_some(())
    });
}

fn firing_of(queue: &str) -> String {
    format!("firing backlog queue_name={queue},severity=critical")
}

#[test]
fn a_file_silences_until_a_reload_takes_it_away() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    write(
        folder.path(),
        "- {matchers: queue_name=mail, intervals: [always], created_by: ada, comment: moved}\n\
         - {matchers: queue_name=print, intervals: [long_ago], created_by: ada}\n",
    );
    let agent = Agent::start(folder.path(), &configuration(&receiver));
    set_queue(&agent, "mail", 42.0);
    set_queue(&agent, "print", 42.0);
    wait_until_muted(&agent, "mail", "silenced by ada: moved (silence file-");
    poll("the other", SOON, || {
        (receiver.taken() == [firing_of("print")]).then_some(())
    });

    let (_, list) = silence(&agent, &["list"]);
    assert!(
        list.contains("never") && list.contains("ada") && list.contains("moved    during always"),
        "{list}"
    );
    assert!(
        list.contains("silences/a.yml:1") && list.contains("silences/a.yml:2"),
        "{list}"
    );
    let first = list.lines().nth(1).unwrap();
    let id = first.split_whitespace().next().unwrap();
    let (status, said) = silence(&agent, &["expire", id]);
    assert!(
        status == Some(1) && said.contains("silences/a.yml:1; hint: change it there"),
        "{said}"
    );

    write(
        folder.path(),
        "- {matchers: queue_name=mail, intervals: [alwys], created_by: ada}\n",
    );
    agent.signal("HUP");
    agent.wait_for_log(&["reload failed", "silences/a.yml:1:43:", "alwys"]);
    assert_eq!(
        silence(&agent, &["list"]).1,
        list,
        "what was in effect stays"
    );
    write(folder.path(), "# none\n");
    agent.signal("HUP");
    poll("both are sent", SOON, || {
        (receiver.taken() == [firing_of("print"), firing_of("mail")]).then_some(())
    });
    assert_eq!(silence(&agent, &["list"]).1, "no silences\n");
}

#[test]
fn one_that_recurs_is_made_at_the_shell_and_outlives_kill_9() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let yaml = configuration(&receiver);
    let agent = Agent::start(folder.path(), &yaml);
    let (status, id) = silence(&agent, &["add", "queue_name=mail", "--during", "always"]);
    assert_eq!(status, Some(0), "{id}");
    let weekend = [
        "--weekdays",
        "saturday",
        "--weekdays",
        "sunday",
        "--hours",
        "01:00-05:00",
    ];
    let add = ["add", "queue_name=x", "--location", "Europe/Berlin"];
    assert_eq!(
        silence(&agent, &[&add[..], &weekend[..]].concat()).0,
        Some(0)
    );
    let (status, said) = silence(&agent, &["add", "queue_name=mail", "--during", "alwys"]);
    assert!(
        status == Some(1) && said.contains("did you mean \"always\"?"),
        "{said}"
    );
    assert_eq!(
        silence(&agent, &["add", "queue_name=mail"]).0,
        Some(2),
        "until when?"
    );
    let (_, list) = silence(&agent, &["list"]);
    let recurs = "  saturday and sunday, 01:00 to 05:00, Europe/Berlin\n";
    assert!(
        list.contains(recurs) && list.contains("  during always\n"),
        "{list}"
    );
    agent.kill();

    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 42.0);
    wait_until_muted(&agent, "mail", id.trim());
    assert_eq!(silence(&agent, &["list"]).1, list);
    // Without the interval it holds at no time, and never all the time.
    agent.write_config(&yaml.replace("name: always,", "name: never,"));
    agent.signal("HUP");
    agent.wait_for_log(&["time interval that no longer exists", id.trim(), "always"]);
    poll("it is sent", SOON, || {
        (receiver.taken() == [firing_of("mail")]).then_some(())
    });
    assert_eq!(silence(&agent, &["expire", id.trim()]).0, Some(0));
}
