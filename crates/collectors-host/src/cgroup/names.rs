//! Names of containers, from the files of Docker, Podman and containerd.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Names of a container; empty where they are unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) pod: String,
    pub(super) namespace: String,
}

/// Names of the containers of a host, which are read once.
#[derive(Debug)]
pub(super) struct Names {
    root: PathBuf,
    known: HashMap<String, Container>,
}

/// Directories of containerd's tasks, below its state directory: one by namespace.
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";
const DOCKER: &str = "var/lib/docker/containers";
const PODMAN: &str = "var/lib/containers/storage/overlay-containers/containers.json";
/// Largest file that is read.
const LARGEST: u64 = 4 << 20;

impl Names {
    /// Creates the names of the host with this root directory.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            known: HashMap::new(),
        }
    }

    /// Returns the container of a cgroup, if it is that of a container.
    pub(super) fn container(&mut self, path: &str) -> Option<Container> {
        let id = container_id(path)?;
        if let Some(container) = self.known.get(id) {
            return Some(container.clone());
        }
        let found = self
            .docker(id)
            .or_else(|| self.podman(id))
            .or_else(|| self.containerd(id));
        if let Some(container) = &found {
            self.known.insert(id.to_owned(), container.clone());
        }
        Some(found.unwrap_or_default())
    }

    /// Forgets containers that are not among `paths`.
    pub(super) fn retain(&mut self, paths: &[String]) {
        let ids: HashSet<&str> = paths.iter().filter_map(|path| container_id(path)).collect();
        self.known.retain(|id, _| ids.contains(id.as_str()));
    }

    fn docker(&self, id: &str) -> Option<Container> {
        let file = self.root.join(DOCKER).join(id).join("config.v2.json");
        let config = json(&file)?;
        let text = |pointer| config.pointer(pointer).and_then(Value::as_str);
        let label = |name: &str| {
            let labels = config.pointer("/Config/Labels")?;
            labels.get(name).and_then(Value::as_str)
        };
        Some(Container {
            name: text("/Name")?.trim_start_matches('/').to_owned(),
            image: text("/Config/Image").unwrap_or_default().to_owned(),
            pod: label("io.kubernetes.pod.name")
                .unwrap_or_default()
                .to_owned(),
            namespace: label("io.kubernetes.pod.namespace")
                .unwrap_or_default()
                .to_owned(),
        })
    }

    fn podman(&self, id: &str) -> Option<Container> {
        let containers = json(&self.root.join(PODMAN))?;
        let mut all = containers.as_array()?.iter();
        let container = all.find(|container| container["id"] == id)?;
        // The metadata is a document in a text.
        let metadata = container["metadata"].as_str().unwrap_or_default();
        let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
        Some(Container {
            name: container["names"][0].as_str()?.to_owned(),
            image: metadata["image-name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            ..Container::default()
        })
    }

    fn containerd(&self, id: &str) -> Option<Container> {
        let tasks = self.root.join(CONTAINERD);
        let mut namespaces = fs::read_dir(tasks).ok()?.flatten();
        let config = namespaces
            .find_map(|namespace| json(&namespace.path().join(id).join("config.json")))?;
        let annotation = |names: &[&str]| {
            let all = &config["annotations"];
            let mut values = names.iter().filter_map(|name| all[*name].as_str());
            values.next().unwrap_or_default().to_owned()
        };
        Some(Container {
            name: annotation(&["io.kubernetes.cri.container-name", "nerdctl/name"]),
            image: annotation(&["io.kubernetes.cri.image-name"]),
            pod: annotation(&["io.kubernetes.cri.sandbox-name"]),
            namespace: annotation(&["io.kubernetes.cri.sandbox-namespace"]),
        })
    }
}

fn json(file: &Path) -> Option<Value> {
    serde_json::from_slice(&bellwether_files::read(file, LARGEST).ok()?).ok()
}

/// Returns the id of a container in the last part of a cgroup's path: `<id>`, `docker-<id>.scope`,
/// `cri-containerd-<id>.scope`, `libpod-<id>.scope`.
fn container_id(path: &str) -> Option<&str> {
    const LENGTH: usize = 64;
    let last = path.rsplit('/').next()?;
    let last = last.strip_suffix(".scope").unwrap_or(last);
    let id = last.rsplit('-').next()?;
    let is_id = id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_container_has_its_name_from_the_files_of_its_engine() {
        let root = TempDir::new().unwrap();
        let write = |file: String, text: &str| {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let id = |digit: &str| digit.repeat(64);
        write(
            format!("{DOCKER}/{}/config.v2.json", id("a")),
            r#"{"Name": "/web", "Config": {"Image": "nginx:1", "Labels": {}}}"#,
        );
        let podman = format!(
            r#"[{{"id": "{}", "names": ["db"], "metadata": "{{\"image-name\": \"postgres:16\"}}"}}]"#,
            id("b")
        );
        write(PODMAN.to_owned(), &podman);
        write(
            format!("{CONTAINERD}/k8s.io/{}/config.json", id("c")),
            r#"{"annotations": {"io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.image-name": "app:2",
                "io.kubernetes.cri.sandbox-name": "app-0", "io.kubernetes.cri.sandbox-namespace": "shop"}}"#,
        );
        write(format!("{DOCKER}/{}/config.v2.json", id("d")), "garbage");
        let mut names = Names::new(root.path().to_owned());
        let mut shown = |path: String| {
            let container = names.container(&path)?;
            let Container {
                name,
                image,
                pod,
                namespace,
            } = container;
            Some(format!("{name} {image} {pod} {namespace}"))
        };
        let docker = format!("/system.slice/docker-{}.scope", id("a"));
        assert_eq!(shown(docker.clone()).as_deref(), Some("web nginx:1  "));
        assert_eq!(
            shown(format!("/machine.slice/libpod-{}.scope", id("b"))).as_deref(),
            Some("db postgres:16  ")
        );
        assert_eq!(
            shown(format!("/kubepods/burstable/pod1/{}", id("c"))).as_deref(),
            Some("app app:2 app-0 shop")
        );
        assert_eq!(
            shown(format!("/docker/{}", id("d"))).as_deref(),
            Some("   ")
        );
        assert_eq!(shown("/system.slice/ssh.service".to_owned()), None);

        // The name is known until the container ends.
        fs::remove_dir_all(root.path().join(DOCKER)).unwrap();
        assert_eq!(shown(docker.clone()).as_deref(), Some("web nginx:1  "));
        names.retain(&[]);
        assert_eq!(names.container(&docker), Some(Container::default()));
    }
}
