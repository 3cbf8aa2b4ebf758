use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Instant;

use bellwether_core::{Status, UnixMillis};
use tempfile::TempDir;

use super::super::Sender;
use super::*;
use crate::testing::{batch, checked, notification};

fn decode(text: &str) -> (ExecChannel, Vec<String>) {
    checked(text, ExecChannel::check)
}

fn context() -> Context {
    Context {
        name: "pager".into(),
        sender: Sender::default(),
        clock: Arc::new(UnixMillis::default),
    }
}

/// A channel that runs `script` by a shell, which is the program here.
fn shell(script: &str, more: &str) -> Box<dyn Channel> {
    let script = serde_json::to_string(script).unwrap();
    let (settings, problems) = decode(&format!("{{command: [/bin/sh, -c, {script}]{more}}}"));
    assert_eq!(problems, [""; 0]);
    settings.build(context()).unwrap()
}

async fn deliver(channel: &dyn Channel) -> Result<(), DeliveryError> {
    channel
        .deliver(&batch([notification("disk", "/data", Status::Firing)]))
        .await
}

#[test]
fn invalid_settings_are_errors() {
    for (text, expected) in [
        ("{command: []}", "command: no program"),
        ("{command: [page]}", "not an absolute path: \"page\""),
        (
            "{command: [/page], environment: {'A=B': x}}",
            "not a variable's name: \"A=B\"",
        ),
        (
            "{command: [/page], environment: {A: \"x\\0y\"}}",
            "holds a NUL: the value of \"A\"",
        ),
        (
            "{command: [/page, \"x\\0y\"]}",
            "holds a NUL, which no argument can",
        ),
        ("{command: [/page], user: 'a b'}", "not a user: \"a b\""),
        (
            "{command: [/page], timeout: 0}",
            "timeout: must be longer than 0s",
        ),
        (
            "{command: [/page], max_alerts: 0}",
            "max_alerts: must be at least 1",
        ),
    ] {
        let (_, problems) = decode(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].contains(expected), "{text}: {problems:?}");
    }
}

#[tokio::test]
async fn the_document_is_on_its_input_and_only_the_settings_in_its_environment() {
    let folder = TempDir::new().unwrap();
    let (document, environment) = (folder.path().join("document"), folder.path().join("env"));
    let script = format!(
        "cat > {}; env > {}",
        document.display(),
        environment.display()
    );
    let channel = shell(&script, ", environment: {TEAM: storage}");
    deliver(&*channel).await.unwrap();
    let document: serde_json::Value = serde_json::from_slice(&fs::read(document).unwrap()).unwrap();
    assert_eq!(document["version"], "4");
    assert_eq!(document["receiver"], "pager");
    assert_eq!(document["alerts"][0]["labels"]["mount"], "/data");
    let environment = fs::read_to_string(environment).unwrap();
    let mut names: Vec<_> = environment
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    names.sort_unstable();
    let shells = ["PWD", "SHLVL", "_", "OLDPWD"];
    names.retain(|name| !shells.contains(name));
    let expected = [
        "BELLWETHER_CHANNEL",
        "BELLWETHER_INVOCATION",
        "BELLWETHER_RECEIVER",
        "BELLWETHER_STATUS",
        "PATH",
        "TEAM",
    ];
    assert_eq!(names, expected);
    assert!(
        environment.contains("BELLWETHER_STATUS=firing"),
        "{environment}"
    );
}

#[tokio::test]
async fn what_an_end_means() {
    for (script, retryable, expected) in [
        (
            "echo no such team >&2; exit 3",
            false,
            "/bin/sh: exit status 3: no such team",
        ),
        ("exit 75", true, "/bin/sh: exit status 75"),
        ("kill -9 $$", true, "/bin/sh: ended by signal 9"),
        (
            "printf 'a\\nb\\033[1m' >&2; exit 1",
            false,
            "/bin/sh: exit status 1: a b [1m",
        ),
        (
            "echo the key is sesame-1 >&2; exit 1",
            false,
            "exit status 1: the key is <secret>",
        ),
    ] {
        let channel = shell(script, ", environment: {KEY: sesame-1}");
        let error = deliver(&*channel).await.unwrap_err();
        assert_eq!(error.retryable, retryable, "{script}");
        assert!(
            error.message.ends_with(expected),
            "{script}: {}",
            error.message
        );
    }
    // Nobody has to read what is on the input, be it longer than a pipe holds.
    let mut long = notification("disk", "/data", Status::Firing);
    let mut alert = (*long.alert).clone();
    alert.message = "x".repeat(1 << 20);
    long.alert = Arc::new(alert);
    shell("exit 0", "").deliver(&batch([long])).await.unwrap();
}

#[tokio::test]
async fn what_takes_too_long_is_killed_with_all_it_started() {
    for started in ["sleep 1000", "setsid sleep 1000", "setsid -f sleep 1000"] {
        let folder = TempDir::new().unwrap();
        let pid = folder.path().join("pid");
        // Whatever becomes of it, the last of them writes its own number.
        let last = started.replace(
            "sleep",
            &format!(
                "sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep $0'",
                pid.display()
            ),
        );
        let script = format!("echo waiting >&2; {last} & wait; sleep 1000");
        let start = Instant::now();
        let error = deliver(&*shell(&script, ", timeout: 1s"))
            .await
            .unwrap_err();
        assert!(start.elapsed().as_secs() < 20);
        assert!(error.retryable);
        assert_eq!(error.message, "/bin/sh: killed after 1s: waiting");
        let pid = fs::read_to_string(&pid).unwrap();
        assert!(
            has_ended(pid.trim()).await,
            "what it started still runs: {started}"
        );
    }
}

#[tokio::test]
async fn a_timeout_kills_the_program_with_all_it_started() {
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000' & wait",
        pid.display()
    );
    let channel = shell(&script, "");
    let attempt = tokio::spawn(async move { deliver(&*channel).await });
    let mut waited = 0;
    while !pid.exists() {
        assert!(waited < 1000, "not within ten seconds");
        waited += 1;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    attempt.abort();
    assert!(has_ended(fs::read_to_string(&pid).unwrap().trim()).await);
}

/// Waits for the end of the process `pid`, for a short time.
async fn has_ended(pid: &str) -> bool {
    for _ in 0..500 {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => return true,
            Ok(text) if text.contains(") Z ") => return true,
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
    false
}

#[tokio::test]
async fn what_it_leaves_running_does_not_hold_it_up() {
    let start = Instant::now();
    deliver(&*shell("sleep 5 >/dev/null & exit 0", ", timeout: 4s"))
        .await
        .unwrap();
    assert!(start.elapsed().as_secs() < 4);
}

#[tokio::test]
async fn a_program_that_is_not_there_may_come() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("page");
    let (settings, _) = decode(&format!("{{command: [{}]}}", program.display()));
    let channel = settings.build(context()).unwrap();
    let error = deliver(&*channel).await.unwrap_err();
    assert!(
        error.retryable && error.message.contains("cannot be started"),
        "{error:?}"
    );
    fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // Another thread may start something meanwhile and hold the file open for writing.
    for _ in 0..100 {
        if deliver(&*channel).await.is_ok() {
            return;
        }
    }
    deliver(&*channel).await.unwrap();
}

#[tokio::test]
async fn as_another_user() {
    if !rustix::process::geteuid().is_root() {
        let (settings, _) = decode("{command: [/bin/true], user: '4242:4242'}");
        let rejected = settings.build(context()).err().unwrap();
        assert!(rejected.to_string().contains("only root"), "{rejected}");
        return;
    }
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let ids = folder.path().join("ids");
    let script = format!("(id -u; id -g; id -G) > {}", ids.display());
    deliver(&*shell(&script, ", user: '4242:4243'"))
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(ids).unwrap(), "4242\n4243\n4243\n");
}

#[tokio::test]
async fn a_report_is_on_its_input_with_its_name_in_the_environment() {
    let folder = TempDir::new().unwrap();
    let (input, name) = (folder.path().join("input"), folder.path().join("name"));
    let script = format!(
        "cat > {}; echo $BELLWETHER_CHANNEL $BELLWETHER_BULLETIN$BELLWETHER_STATUS > {}; exit $EXIT",
        input.display(),
        name.display()
    );
    let bulletin = Bulletin {
        topic: "report/daily".into(),
        document: Some(crate::Document {
            name: "daily.json".into(),
            content_type: "application/json".into(),
            content: "{\"alerts\": []}".into(),
        }),
        ..Bulletin::default()
    };
    let channel = shell(&script, ", environment: {EXIT: '0'}");
    channel.publish(&bulletin).await.unwrap();
    let message: serde_json::Value = serde_json::from_slice(&fs::read(input).unwrap()).unwrap();
    assert_eq!(message["bulletin"], "report/daily");
    assert_eq!(
        message["document"]["content"]["alerts"],
        serde_json::json!([])
    );
    assert_eq!(fs::read_to_string(name).unwrap(), "pager report/daily\n");
    let channel = shell(&script, ", environment: {EXIT: '3'}");
    let error = channel.publish(&bulletin).await.unwrap_err();
    assert!(
        !error.retryable && error.message.contains("exit status 3"),
        "{error}"
    );
}
