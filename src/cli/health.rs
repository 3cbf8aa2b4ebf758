//! `bellwether health`: for container and service checks.

use anyhow::bail;

use super::Global;
use super::client::Target;

pub(super) fn run(global: &Global, target: &Target) -> anyhow::Result<()> {
    for path in ["/-/healthy", "/-/ready"] {
        let answer = target.get(global, path)?;
        if answer.status != 200 {
            bail!("{path}: {}: {}", answer.status, answer.body.trim());
        }
    }
    println!("healthy and ready");
    Ok(())
}
