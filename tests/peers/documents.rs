//! The collector `http_json` with real servers of XML and CSV: Python's XML-RPC, as supervisord has it, and HAProxy.

use std::time::Duration;

use crate::support::agent::{Agent, request};
use crate::support::process::Process;
use crate::support::{free_port, poll};

/// Waits until a server answers.
fn wait_for(port: u16) {
    poll("the server answers", Duration::from_secs(30), || {
        request(([127, 0, 0, 1], port).into(), "GET", "/", &[], "").ok()
    });
}

fn agent(folder: &std::path::Path, collector: &str) -> Agent {
    let start = "performance_monitor:\n  enabled_collectors: []\n  collectors:\n    - name: x\n";
    let common = "      type: http_json\n      interval: 500ms\n";
    Agent::start(folder, &format!("{start}{common}{collector}"))
}

#[test]
fn processes_of_an_xml_rpc_server_are_metrics() {
    let port = free_port();
    let script = format!(
        "from xmlrpc.server import SimpleXMLRPCServer as Server\n\
         server = Server(('127.0.0.1', {port}), logRequests=False)\n\
         processes = [{{'name': 'a&b', 'pid': 7}}, {{'name': 'c', 'pid': 8}}]\n\
         server.register_function(lambda: processes, 'getAllProcessInfo')\n\
         server.serve_forever()\n"
    );
    let _server = Process::start("python3", &["-c", &script]);
    wait_for(port);
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(
        folder.path(),
        &format!(
            "\x20     url: http://127.0.0.1:{port}/RPC2\n      method: POST\n      headers: {{Content-Type: text/xml}}\n\
             \x20     body: <methodCall><methodName>getAllProcessInfo</methodName></methodCall>\n\
             \x20     metrics:\n        - name: process_pid\n          items: $..struct[*]\n\
             \x20         value: $.member[?@.name[0] == 'pid'].value[0].int[0]\n\
             \x20         labels: {{name: \"$.member[?@.name[0] == 'name'].value[0].string[0]\"}}\n"
        ),
    );
    agent.wait_for_value("process_pid{name=\"a&b\"}", |pid| pid == 7.0);
    assert_eq!(agent.value("process_pid{name=\"c\"}"), Some(8.0));
}

#[test]
fn requests_to_haproxy_are_metrics() {
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let config = folder.path().join("haproxy.cfg");
    let text = format!(
        "defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n\
         frontend web\n  bind 127.0.0.1:{port}\n  stats enable\n  stats uri /stats\n"
    );
    std::fs::write(&config, text).unwrap();
    let _server = Process::start("haproxy", &["-db", "-f", config.to_str().unwrap()]);
    wait_for(port);
    let agent = agent(
        folder.path(),
        &format!(
            "\x20     url: http://127.0.0.1:{port}/stats;csv\n      format: csv\n      metrics:\n\
             \x20       - name: haproxy_requests_total\n          type: counter\n\
             \x20         items: \"$[?@.svname == 'FRONTEND']\"\n          value: $.req_tot\n\
             \x20         labels: {{proxy: \"$['# pxname']\"}}\n"
        ),
    );
    // Each collection is a request.
    let series = "haproxy_requests_total{proxy=\"web\"}";
    let first = agent.wait_for_value(series, |requests| requests > 0.0);
    agent.wait_for_value(series, |requests| requests > first);
}
