//! Compresses the files of `web/dist`, and writes the table of them that `src/lib.rs` includes.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Smallest file that is compressed, in bytes.
const MIN_COMPRESSED_BYTES: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let dist = fs::canonicalize(root.join("../../web/dist"))?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut paths = files(&dist)?;
    paths.extend(files(&dist.join("assets"))?);
    let mut table = String::from("&[\n");
    for (number, path) in paths.iter().enumerate() {
        let name = path.strip_prefix(&dist)?.display().to_string();
        row(&mut table, &name, path, &out.join(number.to_string()))?;
    }
    table.push(']');
    fs::write(out.join("files.rs"), table)?;
    Ok(())
}

/// Returns the files of a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Writes the row of a file, whose compressed form goes beside `stem`.
fn row(table: &mut String, name: &str, path: &Path, stem: &Path) -> Result<(), Box<dyn Error>> {
    let plain = fs::read(path)?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&plain);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let kind = content_type(path).ok_or_else(|| format!("{name}: unknown type of file"))?;
    let mut gzip = path.to_owned();
    if plain.len() >= MIN_COMPRESSED_BYTES {
        gzip = stem.with_extension("gz");
        let level = flate2::Compression::best();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(&plain)?;
        fs::write(&gzip, encoder.finish()?)?;
    }
    writeln!(
        table,
        "File {{ name: {name:?}, content_type: {kind:?}, etag: {tag:?}, plain: include_bytes!({path:?}), \
         gzip: include_bytes!({gzip:?}) }},"
    )?;
    Ok(())
}

fn content_type(path: &Path) -> Option<&'static str> {
    Some(match path.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        _ => return None,
    })
}
