//! Files of the configuration that are replaced, each as a whole, and put back if need be.

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bellwether_config as config;
use bellwether_files as files;
use bellwether_server::ConfigError;

/// Suffix of the version of a file before its last change.
const BEFORE: &str = ".before";

/// Text for a file, and the one that it replaces.
pub(super) struct Edit {
    pub(super) path: PathBuf,
    pub(super) before: String,
    pub(super) after: String,
}

/// Files that were replaced; the version before of each is kept beside it until the reload.
#[derive(Default)]
pub(super) struct Written(Vec<Replaced>);

struct Replaced {
    path: PathBuf,
    /// Link to the version before.
    before: PathBuf,
}

impl Written {
    /// Replaces one file, whose symbolic links are followed, and keeps its mode and owner.
    pub(super) fn replace(&mut self, edit: &Edit) -> Result<(), ConfigError> {
        let shown = edit.path.display();
        let failed = |error: io::Error| ConfigError::Failed(format!("{shown}: {error}"));
        let path = edit.path.canonicalize().map_err(failed)?;
        let metadata = fs::metadata(&path).map_err(failed)?;
        files::regular(&metadata).map_err(failed)?;
        check_owner(&metadata)
            .map_err(|message| ConfigError::Failed(format!("{shown}: {message}")))?;
        let before = files::beside(&path, ".before.new");
        fs::remove_file(&before).ok();
        fs::hard_link(&path, &before).map_err(failed)?;
        let replaced = Replaced { path, before };
        // As late as possible: somebody may have changed it meanwhile.
        let now = config::read(&replaced.path);
        if !now.is_ok_and(|now| now == edit.before) {
            fs::remove_file(&replaced.before).ok();
            return Err(ConfigError::Conflict(edit.path.display().to_string()));
        }
        let result = write_text(&replaced.path, &edit.after);
        self.0.push(replaced);
        result.map_err(failed)
    }

    /// Puts the versions before back.
    pub(super) fn undo(self) -> Result<(), ConfigError> {
        for Replaced { path, before } in self.0.iter().rev() {
            fs::rename(before, path).map_err(|error| {
                let (path, before) = (path.display(), before.display());
                ConfigError::Failed(format!("{path}: the version before is {before}: {error}"))
            })?;
            // Both are still the same file if it was not replaced: then nothing was renamed.
            fs::remove_file(before).ok();
        }
        Ok(())
    }

    /// Keeps the versions before, in place of those before them, and returns their paths.
    pub(super) fn keep(self) -> Vec<String> {
        let kept = self.0.into_iter().map(|replaced| {
            let kept = files::beside(&replaced.path, BEFORE);
            match fs::rename(&replaced.before, &kept) {
                Ok(()) => kept,
                Err(_) => replaced.before,
            }
        });
        kept.map(|path| path.display().to_string()).collect()
    }
}

fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let mut output = files::Output::create(path)?;
    output.write_all(text.as_bytes())?;
    output.finish()
}

/// Checks that a file can be replaced by one of the same owner.
fn check_owner(metadata: &Metadata) -> Result<(), String> {
    let (ours, owner) = (rustix::process::geteuid().as_raw(), metadata.uid());
    match ours == 0 || ours == owner {
        true => Ok(()),
        false => Err(format!(
            "it belongs to user {owner}, and cannot be replaced by user {ours}"
        )),
    }
}
