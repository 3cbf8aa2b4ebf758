//! State file of the alerts: loaded at the start, replaced as a whole whenever alerts changed.
//!
//! Blocks; call it from a thread that may block.

use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::Now;
use bellwether_files::durable::{self, LoadedState};

use crate::state::restore::RestoredRule;
use crate::state::saved;

/// Returns `rules` as a restart would load them from a file saved `now`.
///
/// # Errors
/// If they cannot be serialized, or the file would be rejected when it is loaded.
pub fn roundtrip(rules: &[RestoredRule], now: Now) -> Result<Vec<RestoredRule>, String> {
    let text = saved::write(rules, now).map_err(|error| error.to_string())?;
    saved::read(&text)
}

/// File with the alerts of all rules.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// Creates a handle of the file at `path` without touching the disk.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Loads the file. A file that cannot be parsed is set aside as `<name>.corrupt`.
    ///
    /// # Errors
    /// If it cannot be read or set aside.
    pub fn load(&self) -> io::Result<LoadedState<Vec<RestoredRule>>> {
        durable::load(&self.path, saved::read)
    }

    /// Replaces the file atomically: a crash at any moment leaves either the old file or the new one.
    ///
    /// # Errors
    /// If the new file cannot be written, synced or renamed; the old one is then still there.
    pub fn save(&self, rules: &[RestoredRule], now: Now) -> io::Result<()> {
        let text = saved::write(rules, now).map_err(io::Error::other)?;
        durable::replace(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Engine;
    use crate::testing::{CPU, at, commit, rules, store};

    fn firing() -> Vec<RestoredRule> {
        let set = rules("[{name: r, metric: cpu_percent, condition: '>', threshold: 1}]").unwrap();
        let store = store(&set);
        let mut engine = Engine::new(set, at(0));
        commit(&store, at(30), &[(CPU, &[], &[5.0])]);
        assert_eq!(engine.tick(&store, None, at(30), None).transitions.len(), 1);
        engine.snapshot()
    }

    fn files(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn saved_alerts_are_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path().join("new/alerts.json"));
        assert_eq!(file.load().unwrap(), LoadedState::Absent);
        file.save(&[], at(0)).unwrap();
        assert_eq!(file.load().unwrap(), LoadedState::Loaded(Vec::new()));
        file.save(&firing(), at(30)).unwrap();
        let LoadedState::Loaded(loaded) = file.load().unwrap() else {
            panic!("no state")
        };
        assert_eq!(
            loaded[0].alerts[0].1.notified,
            firing()[0].alerts[0].1.notified
        );
        assert_eq!(files(&directory.path().join("new")), ["alerts.json"]);
    }

    #[test]
    fn a_file_cut_anywhere_is_set_aside_and_never_half_read() {
        let whole = saved::write(&firing(), at(30)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path().join("alerts.json"));
        for end in 0..whole.len() {
            fs::write(file.path(), &whole[..end]).unwrap();
            let LoadedState::Corrupt { aside, reason } = file.load().unwrap() else {
                panic!("at {end}")
            };
            assert!(!reason.is_empty() && fs::read(aside).unwrap() == whole[..end]);
            assert_eq!(files(directory.path()), ["alerts.json.corrupt"]);
        }
    }

    #[test]
    fn a_file_of_another_version_or_sense_is_set_aside() {
        let text = String::from_utf8(saved::write(&firing(), at(30)).unwrap()).unwrap();
        let begin = text.find("{\"severity\"").unwrap();
        let notified = begin..text.rfind("}]}]}").unwrap();
        for (from, to, reason) in [
            ("\"version\":2", "\"version\":9", "unsupported version 9"),
            (&text[notified.clone()], "null", "without its notification"),
            ("\"level\":0", "\"level\":7", "no level 7"),
            (
                "\"severity\":\"warning\"",
                "\"severity\":\"bad\"",
                "no severity \"bad\"",
            ),
            ("\"firing\"", "\"burning\"", "unknown variant `burning`"),
        ] {
            let broken = text.replacen(from, to, 1);
            assert_ne!(broken, text, "{from}");
            let error = saved::read(broken.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path().join("alerts.json"));
        file.save(&firing(), at(30)).unwrap();
        // The draft's name is taken by a directory: nothing can be written there.
        fs::create_dir(directory.path().join("alerts.json.new")).unwrap();
        assert!(file.save(&[], at(60)).is_err());
        assert!(matches!(file.load().unwrap(), LoadedState::Loaded(loaded) if loaded.len() == 1));
        // A draft that cannot be put in place does not stay.
        let blocked = StateFile::new(directory.path().join("taken"));
        fs::create_dir_all(directory.path().join("taken/by")).unwrap();
        assert!(blocked.save(&firing(), at(60)).is_err());
        assert!(!files(directory.path()).contains(&"taken.new".to_owned()));
    }
}
