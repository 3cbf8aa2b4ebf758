//! Graphics cards: NVIDIA's by `nvidia-smi`, AMD's from /sys.
//!
//! `nvidia-smi` comes with NVIDIA's driver and asks its library NVML. The library itself cannot be loaded by the static
//! binary of the packages (musl answers "Dynamic loading not supported"), and a call into a driver that hangs would
//! hold a thread of this process forever, where a program is killed at its timeout.

mod amd;
mod nvidia;

use std::path::PathBuf;
use std::time::Duration;

use bellwether_collector::{Build, Collecting, Collector, EntryContext, EntryType};
use bellwether_core::{Batch, Failure, Now};
use bellwether_schema::section;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

bellwether_schema::string_enum! {
    /// Vendors of graphics cards.
    pub enum GpuVendor {
        /// NVIDIA, by `/usr/bin/nvidia-smi`.
        Nvidia = "nvidia",
        /// AMD, by the kernel's driver `amdgpu`.
        Amd = "amd",
    }
}

section! {
    /// Collector of type `gpu`: load, memory, temperature and power of graphics cards. NVIDIA's have the metric names of
    /// nvidia_gpu_exporter, which asks `nvidia-smi` too, and AMD's those of the collector `drm` of node_exporter.
    pub struct Gpu {
        /// Vendors whose cards must be there. Default: those that are found, at least one.
        pub vendors: Option<Vec<GpuVendor>> = None,
    }
}

impl EntryType for Gpu {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        if self.vendors.as_ref().is_some_and(Vec::is_empty) {
            context
                .problems
                .error(context.at, "no vendors")
                .hint("set `vendors: [nvidia]`, or leave it out for all that are found");
            return None;
        }
        let (required, sysfs) = (self.vendors.clone(), context.host.sysfs.clone());
        let (timeout, output_limit) = (context.request_timeout(), context.limits.bytes.0);
        context.build(move |_| GpuCollector {
            required: required.clone(),
            program: nvidia::PROGRAM.to_owned(),
            sysfs: sysfs.clone(),
            timeout,
            output_limit,
            reading: None,
        })
    }
}

struct GpuCollector {
    /// `None`: those that are found.
    required: Option<Vec<GpuVendor>>,
    /// Path of `nvidia-smi`. It is no setting: it would start programs of the configuration.
    program: String,
    sysfs: PathBuf,
    timeout: Duration,
    output_limit: u64,
    /// Read of AMD's cards that has not ended.
    reading: Option<JoinHandle<Vec<amd::Card>>>,
}

impl GpuCollector {
    fn wants(&self, vendor: GpuVendor) -> bool {
        let vendors = self.required.as_ref();
        vendors.is_none_or(|vendors| vendors.contains(&vendor))
    }

    /// Adds the cards of NVIDIA, if they have to be there or the program is.
    async fn nvidia(&self, batch: &mut Batch, deadline: Instant) -> Result<usize, Failure> {
        if !self.wants(GpuVendor::Nvidia) || (self.required.is_none() && !self.is_there().await) {
            return Ok(0);
        }
        let command = nvidia::command(&self.program);
        let rest = deadline.saturating_duration_since(Instant::now());
        let printed = bellwether_collector::output(command, rest, self.output_limit).await?;
        let count = nvidia::push(&printed, &mut batch.series);
        count.map_err(|error| Failure::new("parse", format!("{}: {error}", self.program)))
    }

    /// Returns whether `nvidia-smi` is there.
    async fn is_there(&self) -> bool {
        let program = self.program.clone();
        let exists = spawn_blocking(move || std::fs::exists(program)).await;
        matches!(exists, Ok(Ok(true)))
    }

    /// Adds the cards of AMD.
    async fn amd(&mut self, batch: &mut Batch, deadline: Instant) -> Result<usize, Failure> {
        if !self.wants(GpuVendor::Amd) {
            return Ok(0);
        }
        let cards = self.read_amd(deadline).await?;
        if cards.is_empty() && self.required.is_some() {
            let detail = format!("no card of AMD in {}", amd::folder(&self.sysfs).display());
            return Err(Failure::new("absent", detail));
        }
        amd::push(&cards, &mut batch.series);
        Ok(cards.len())
    }

    /// Reads the cards of AMD. A driver that hangs holds one thread: no other read starts meanwhile.
    async fn read_amd(&mut self, deadline: Instant) -> Result<Vec<amd::Card>, Failure> {
        let folder = amd::folder(&self.sysfs);
        let late = || {
            let folder = folder.display();
            Failure::new("timeout", format!("{folder}: the driver does not answer"))
        };
        if let Some(reading) = &mut self.reading {
            // Its values are old, so another read follows.
            let _cards = timeout_at(deadline, reading).await.map_err(|_| late())?;
        }
        let sysfs = self.sysfs.clone();
        let reading = self
            .reading
            .insert(spawn_blocking(move || amd::read(&sysfs)));
        let cards = timeout_at(deadline, reading).await.map_err(|_| late())?;
        self.reading = None;
        cards.map_err(|error| Failure::new("panic", error.to_string()))
    }
}

impl Collector for GpuCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let start = Instant::now();
            let amd = self.amd(batch, start + self.timeout / 2).await;
            let nvidia = self.nvidia(batch, start + self.timeout).await;
            match (nvidia, amd) {
                (Err(nvidia), Err(amd)) => {
                    let detail = format!("{}; {}", nvidia.detail, amd.detail);
                    Err(Failure::new(nvidia.reason, detail))
                }
                (Err(failure), Ok(_)) | (Ok(_), Err(failure)) => Err(failure),
                (Ok(0), Ok(0)) => {
                    let (program, folder) = (&self.program, amd::folder(&self.sysfs));
                    let folder = folder.display();
                    let detail =
                        format!("no graphics card: no {program}, and none of AMD in {folder}");
                    Err(Failure::new("absent", detail))
                }
                (Ok(_), Ok(_)) => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
