//! State files in JSON: an object with a `version`.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{LoadError, LoadedState, StateError, load, optional, replace};

/// Content of a JSON state file: a JSON object without the key `version`, which the file adds.
pub trait JsonState: Serialize + DeserializeOwned {
    /// Version that is written, from 1. A change that readers of the version before it would not
    /// understand increases it.
    const VERSION: u32;

    /// Name of the file in earlier versions.
    const FORMER_NAME: Option<&'static str> = None;

    /// Parses `text` of an earlier `version`; 0 if it has no version.
    ///
    /// # Errors
    /// Returns an error if the version is not supported or the text is not as expected.
    fn from_earlier(version: u32, text: &[u8]) -> Result<Self, StateError> {
        let _ = text;
        Err(StateError::Older(version))
    }
}

/// JSON state file at a path.
#[derive(Clone, Debug)]
pub struct JsonFile<T> {
    path: PathBuf,
    content: PhantomData<fn() -> T>,
}

impl<T: JsonState> JsonFile<T> {
    /// Creates a handle to the file at `path` without access to the disk.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            content: PhantomData,
        }
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file. One that cannot be used is renamed to `<name>.corrupt`. If there is no file, one
    /// with [`JsonState::FORMER_NAME`] is renamed and read.
    ///
    /// # Errors
    /// Returns an error if the file cannot be renamed.
    pub fn load(&self) -> io::Result<LoadedState<T>> {
        self.adopt_former()?;
        load(&self.path, Self::parse)
    }

    /// Reads the file as [`JsonFile::load`], for content that is not essential; `None` if there is no
    /// file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be used.
    pub fn load_optional(&self) -> Result<Option<T>, LoadError> {
        optional(&self.path, self.load())
    }

    /// Replaces the file. A crash at any time leaves the old or the new one, whole.
    ///
    /// # Errors
    /// Returns an error if the new file cannot be written, synced or renamed; the old one is unchanged
    /// then.
    pub fn save(&self, content: &T) -> io::Result<()> {
        replace(&self.path, &Self::render(content)?)
    }

    /// Returns the text of a file with `content`.
    ///
    /// # Errors
    /// Returns an error if `content` is no JSON object.
    pub fn render(content: &T) -> io::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Text<'a, T> {
            version: u32,
            #[serde(flatten)]
            content: &'a T,
        }
        let version = T::VERSION;
        serde_json::to_vec(&Text { version, content }).map_err(io::Error::other)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// Returns an error if the text is empty, truncated, of an unsupported version or not as expected.
    pub fn parse(text: &[u8]) -> Result<T, StateError> {
        if text.is_empty() {
            return Err(StateError::Empty);
        }
        match version(text)? {
            newer if newer > T::VERSION => Err(StateError::Newer(newer)),
            version if version == T::VERSION => Ok(serde_json::from_slice(text)?),
            older => T::from_earlier(older, text),
        }
    }

    /// Renames the file of earlier versions. A path that cannot be looked up counts as taken: reading
    /// the file reports the error.
    fn adopt_former(&self) -> io::Result<()> {
        let Some(former) = T::FORMER_NAME else {
            return Ok(());
        };
        match self.path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Ok(()),
        }
        match fs::rename(self.path.with_file_name(former), &self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Returns the version of `text`; 0 if it has none.
fn version(text: &[u8]) -> Result<u32, serde_json::Error> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(default)]
        version: u32,
    }
    match serde_json::from_slice(text) {
        Ok(Versioned { version }) => Ok(version),
        Err(error) if error.is_data() => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A list of names, which was a bare array before versions, and had no `count` in version 1.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Names {
        names: Vec<String>,
        count: usize,
    }

    impl JsonState for Names {
        const VERSION: u32 = 3;
        const FORMER_NAME: Option<&'static str> = Some("former.json");

        fn from_earlier(version: u32, text: &[u8]) -> Result<Self, StateError> {
            let names: Vec<String> = match version {
                0 => serde_json::from_slice(text)?,
                _ => return Err(StateError::Older(version)),
            };
            let count = names.len();
            Ok(Self { names, count })
        }
    }

    fn names(names: &[&str]) -> Names {
        Names {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            count: names.len(),
        }
    }

    fn file(folder: &tempfile::TempDir) -> JsonFile<Names> {
        JsonFile::new(folder.path().join("names.json"))
    }

    fn loaded(file: &JsonFile<Names>) -> Names {
        match file.load().unwrap() {
            LoadedState::Loaded(names) => names,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn saved_content_is_loaded_with_the_mode_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = JsonFile::<Names>::new(folder.path().join("new/names.json"));
        assert!(matches!(file.load().unwrap(), LoadedState::Absent));
        file.save(&names(&[])).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        file.save(&names(&["é\n"])).unwrap();
        assert_eq!(loaded(&file), names(&["é\n"]));
        let text = fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, r#"{"version":3,"names":["é\n"],"count":1}"#);
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[test]
    fn every_cut_is_an_error_that_keeps_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        let whole = JsonFile::render(&names(&["a", "é"])).unwrap();
        for end in 0..whole.len() {
            fs::write(file.path(), &whole[..end]).unwrap();
            let LoadedState::Corrupt { aside, reason } = file.load().unwrap() else {
                panic!("at {end}")
            };
            match end {
                0 => assert!(matches!(reason, StateError::Empty), "{reason}"),
                _ => assert!(matches!(reason, StateError::Truncated(_)), "{reason}"),
            }
            assert_eq!(fs::read(aside).unwrap(), whole[..end]);
            assert!(matches!(file.load().unwrap(), LoadedState::Absent));
        }
    }

    #[test]
    fn each_version_is_read_or_named_in_the_error() {
        let parse = |text: &str| JsonFile::<Names>::parse(text.as_bytes());
        assert_eq!(parse(r#"["a"]"#).unwrap(), names(&["a"]));
        assert_eq!(parse("[]").unwrap(), names(&[]));
        assert_eq!(
            parse(r#"{"count":1,"names":["a"],"version":3}"#).unwrap(),
            names(&["a"])
        );
        for (text, message) in [
            (
                r#"{"version":2,"names":[]}"#,
                "unsupported version 2 of an earlier",
            ),
            (
                r#"{"version":4,"names":[]}"#,
                "unsupported version 4 of a newer",
            ),
            (r#"{"version":3,"names":[]}"#, "missing field `count`"),
            (r#"["a""#, "truncated: EOF"),
            ("nonsense", "expected"),
            ("{}", "invalid type: map"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_kept_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        fs::create_dir(file.path()).unwrap();
        let LoadedState::Corrupt { aside, reason } = file.load().unwrap() else {
            panic!("a directory was read")
        };
        assert!(matches!(reason, StateError::Unreadable(_)), "{reason}");
        assert!(aside.is_dir());
        fs::create_dir(file.path()).unwrap();
        fs::write(file.path().join("x"), "").unwrap();
        fs::write(aside.join("y"), "").unwrap();
        let blocked = file.load_optional().unwrap_err();
        assert!(matches!(blocked, LoadError::Blocked { .. }), "{blocked}");
        assert!(file.path().join("x").exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        file.save(&names(&["old"])).unwrap();
        // The draft's name is taken by a directory: nothing can be written there.
        fs::create_dir(folder.path().join("names.json.new")).unwrap();
        assert!(file.save(&names(&["new"])).is_err());
        assert_eq!(loaded(&file), names(&["old"]));
        // A draft that cannot be put in place does not stay.
        let blocked = JsonFile::<Names>::new(folder.path().join("taken"));
        fs::create_dir_all(folder.path().join("taken/by")).unwrap();
        assert!(blocked.save(&names(&[])).is_err());
        assert!(!folder.path().join("taken.new").exists());
    }

    #[test]
    fn the_former_name_is_read_where_there_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let former = JsonFile::<Names>::new(folder.path().join("former.json"));
        former.save(&names(&["former"])).unwrap();
        let file = file(&folder);
        assert_eq!(loaded(&file), names(&["former"]));
        assert!(!former.path().exists());
        former.save(&names(&[])).unwrap();
        assert_eq!(loaded(&file), names(&["former"]));
        assert!(former.path().exists());
    }
}
