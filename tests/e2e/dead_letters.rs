//! Dead letters as people meet them: a receiver that rejects for good and is fixed.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::{Agent, request};
use crate::support::poll;
use crate::support::receiver::{Mood, Receiver};
use crate::{queue_rule, set_queue};

const SOON: Duration = Duration::from_secs(60);

fn pager(receiver: &Receiver) -> String {
    format!(
        "{{type: webhook, name: pager, url: \"http://{}/\", timeout: 1s}}",
        receiver.address()
    )
}

/// Runs `bellwether dead-letters`: its exit status, and what it printed.
fn dead_letters(agent: &Agent, arguments: &[&str]) -> (Option<i32>, String) {
    let url = format!("http://{}", agent.address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let output = command
        .arg("dead-letters")
        .args(arguments)
        .args(["--url", &url])
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

fn listed(agent: &Agent) -> Vec<Value> {
    let (status, json) = dead_letters(agent, &["--json"]);
    assert_eq!(status, Some(0), "{json}");
    let data: Value = serde_json::from_str(&json).unwrap();
    data["deadLetters"].as_array().unwrap().clone()
}

/// Waits until there are so many.
fn wait_for_letters(agent: &Agent, count: usize) -> Vec<Value> {
    poll(&format!("{count} dead letters"), SOON, || {
        Some(listed(agent)).filter(|letters| letters.len() == count)
    })
}

fn wait_for(receiver: &Receiver, expected: &[&str]) {
    let taken = || (receiver.taken().len() >= expected.len()).then(|| receiver.taken());
    assert_eq!(poll("the notifications", SOON, taken), expected);
}

const FIRING: &str = "firing backlog queue_name=mail,severity=critical";
const RESOLVED: &str = "resolved backlog queue_name=mail,severity=critical";

#[test]
fn what_was_rejected_outlives_kill_9_and_goes_again_with_its_end_behind_it() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let yaml = queue_rule(&pager(&receiver));
    let agent = Agent::start(folder.path(), &yaml);
    receiver.mood(Mood::Status(400));
    set_queue(&agent, "mail", 42.0);
    wait_for_letters(&agent, 1);
    agent.wait_for_saved("firing");
    agent.kill();

    let agent = Agent::start(folder.path(), &yaml);
    // No value yet: the first would have the alert notified again, besides the dead letter.
    assert_eq!(
        listed(&agent).len(),
        1,
        "from the disk, before anything is sent again"
    );
    let held = "bellwether_notification_dead_letters{channel=\"pager\"";
    assert_eq!(agent.wait_for_value(held, |held| held > 0.0), 1.0);
    let (_, screen) = dead_letters(&agent, &["--channel", "pager"]);
    let name = "pager  firing backlog{queue_name=\"mail\"}";
    for words in [name, "critical", "rejected on", "answered 400"] {
        assert!(screen.contains(words), "{words} is missing in: {screen}");
    }
    receiver.mood(Mood::Good);
    let (_, sent) = dead_letters(&agent, &["resend", "--channel", "pager"]);
    assert!(
        sent.ends_with(&format!("{name}  is sent again\n")),
        "{sent}"
    );
    wait_for(&receiver, &[FIRING]);
    set_queue(&agent, "mail", 42.0);
    set_queue(&agent, "mail", 3.0);
    wait_for(&receiver, &[FIRING, RESOLVED]);
    assert_eq!(
        dead_letters(&agent, &[]),
        (Some(0), "no dead letters\n".into())
    );
    let (_, history) = agent.get("/api/v1/alerts/history?event=queued,delivered");
    assert!(history.contains("\"cause\":\"resend\""), "{history}");

    // Rejected, and over before somebody looks.
    receiver.mood(Mood::Status(400));
    set_queue(&agent, "mail", 42.0);
    wait_for_letters(&agent, 1);
    set_queue(&agent, "mail", 3.0);
    let over = poll("the end of the alert", SOON, || {
        listed(&agent)
            .pop()
            .filter(|letter| letter["endsAt"].is_string())
    });
    receiver.mood(Mood::Good);
    let (status, _) = dead_letters(&agent, &["resend", over["id"].as_str().unwrap()]);
    assert_eq!(status, Some(0));
    wait_for(&receiver, &[FIRING, RESOLVED, FIRING, RESOLVED]);
}

#[test]
fn an_end_that_was_rejected_goes_again_and_what_nobody_wants_is_discarded() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let agent = Agent::start(folder.path(), &queue_rule(&pager(&receiver)));
    set_queue(&agent, "mail", 42.0);
    wait_for(&receiver, &[FIRING]);
    receiver.mood(Mood::Status(400));
    set_queue(&agent, "mail", 3.0);
    let letters = wait_for_letters(&agent, 1);
    assert_eq!(letters[0]["notification"]["status"], "resolved");
    set_queue(&agent, "other", 42.0);
    let letters = wait_for_letters(&agent, 2);
    // A reload keeps them.
    agent.signal("HUP");
    agent.wait_for_log(&["reloaded"]);
    let id = |letter: &Value| letter["id"].as_str().unwrap().to_owned();
    assert_eq!(
        listed(&agent).iter().map(id).collect::<Vec<_>>(),
        [id(&letters[0]), id(&letters[1])]
    );

    let (status, said) = dead_letters(&agent, &["discard", &id(&letters[1])]);
    assert!(status == Some(0) && said.contains("is discarded"), "{said}");
    let (status, said) = dead_letters(&agent, &["resend", &id(&letters[1])]);
    assert!(
        status == Some(1) && said.contains("there is no dead letter"),
        "{said}"
    );
    assert_eq!(dead_letters(&agent, &["resend"]).0, Some(2), "which?");
    let (status, said) = agent.post("/api/v1/dead-letters", "");
    assert!(
        status == 400 && said.contains("no dead letters selected"),
        "{said}"
    );

    let page = [("origin", "http://evil.example")];
    let path = "/api/v1/dead-letters?all=true";
    for method in ["POST", "DELETE"] {
        let (status, _) = request(agent.address(), method, path, &page, "").unwrap();
        assert_eq!(status, 403, "{method} by a page of another site");
    }

    receiver.mood(Mood::Good);
    dead_letters(&agent, &["resend", "--all"]);
    wait_for(&receiver, &[FIRING, RESOLVED]);
    assert_eq!(listed(&agent).len(), 0);
}
