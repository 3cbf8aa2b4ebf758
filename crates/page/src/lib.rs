//! The web page as it is built in `web/dist`: static bytes of the binary, which are not resident until they are read.

/// File of the page.
#[derive(Debug)]
pub struct File {
    /// Path below the base of the page, such as `assets/main-AB12CD34.js`.
    pub name: &'static str,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Weak entity tag: one for all codings.
    pub etag: &'static str,
    pub plain: &'static [u8],
    /// gzip, or `plain` itself where the file is too small to compress.
    pub gzip: &'static [u8],
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

impl File {
    /// Returns true if `gzip` is compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.plain.len() > self.gzip.len()
    }
}

/// Returns a file of `assets/` by its name below it. Its name changes with its content.
#[must_use]
pub fn asset(name: &str) -> Option<&'static File> {
    FILES
        .iter()
        .find(|file| file.name.strip_prefix("assets/") == Some(name))
}

/// Returns the document for a path with `segments` segments, whose relative URLs lead to the same base: one for
/// `/` and `/alerts`, one for `/alerts/1a2b`.
#[must_use]
pub fn document(segments: usize) -> Option<&'static File> {
    let name = match segments {
        0 | 1 => "index.html",
        2 => "nested.html",
        _ => return None,
    };
    FILES.iter().find(|file| file.name == name)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_compressed_form_is_that_of_the_file() {
        for file in FILES.iter().filter(|file| file.is_compressed()) {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(file.gzip)
                .read_to_end(&mut plain)
                .unwrap();
            assert!(plain == file.plain, "{}", file.name);
        }
    }

    #[test]
    fn documents_load_files_that_are_there_and_nothing_else() {
        for (segments, base) in [(0, "./"), (1, "./"), (2, "../")] {
            let html = std::str::from_utf8(document(segments).unwrap().plain).unwrap();
            assert!(html.contains(&format!("<base href=\"{base}\">")));
            let references = html
                .split(['"', ' '])
                .filter_map(|part| part.strip_prefix("assets/"));
            let names: Vec<&str> = references.collect();
            assert!(names.len() >= 3, "{names:?}");
            assert!(names.iter().all(|name| asset(name).is_some()), "{names:?}");
            assert!(!html.contains("//") && !html.contains("style=") && !html.contains("<style"));
        }
        assert!(document(3).is_none() && asset("../index.html").is_none() && asset("").is_none());
    }
}
