//! Metrics that applications push with OpenTelemetry's protocol, OTLP, over HTTP and gRPC
//! (<https://opentelemetry.io/docs/specs/otlp/>).

mod access;
mod attributes;
mod exchange;
mod grpc;
mod json;
mod message;
mod names;
mod totals;
mod translate;

use std::path::PathBuf;
use std::sync::Arc;

use bellwether_collector::{
    Blocking, Build, Collecting, Collector, EntryContext, EntryType, Memory, Receiver, TimedHistory,
};
use bellwether_core::{Batch, Now, Rejected, SeriesBatch};
use bellwether_schema::{Diagnostics, Spanned, section};
use hyper::body::Bytes;
use hyper::{Request, Response};
use parking_lot::Mutex;

use self::access::{AccessSettings, GrpcTls};
use self::grpc::Grpc;
use self::message::{ExportResponse, PartialSuccess};
use self::totals::Totals;
use self::translate::{Labeling, Translator};
use crate::pushed::{Intake, PushSettings, PushedSource};
use crate::sockets::check_address;
use crate::wire::Message;

section! {
    /// Collector of type `otlp`: metrics that applications push with OpenTelemetry's protocol to `/v1/metrics`, or with
    /// gRPC. Names become those of Prometheus, deltas are added up, and exponential histograms have classic buckets. Only one
    /// collector has this type.
    pub struct Otlp {
        #[serde(flatten)]
        pub push: PushSettings,
        /// Address for gRPC, such as `127.0.0.1:4317`. By default there is none.
        pub grpc_listen: Option<Spanned<String>>,
        /// TLS on this address. By default there is none.
        pub grpc_tls: Option<Spanned<GrpcTls>>,
        /// File with the token that clients send to this address, as `authorization: Bearer TOKEN`; read again at each
        /// collection. By default they need none.
        pub grpc_bearer_token_file: Option<Spanned<PathBuf>>,
        /// Attributes of resources that become labels of all their series. All attributes are labels of `target_info`.
        pub promote_resource_attributes: Vec<String> = Vec::new(),
        /// If true, series have the labels `otel_scope_name` and `otel_scope_version`.
        pub promote_scope_metadata: bool = false,
    }
}

impl EntryType for Otlp {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let access = AccessSettings {
            tls: self.grpc_tls.as_ref().map(|tls| tls.value.clone()),
            token_file: self
                .grpc_bearer_token_file
                .as_ref()
                .map(|file| file.value.clone()),
        };
        match &self.grpc_listen {
            Some(address) => {
                check_address(address, context.problems);
                access.warn(address, context.warnings);
            }
            None => self.check_without_grpc(context.problems),
        }
        let intake = self.push.resolve(context)?;
        let listen = self.grpc_listen.as_ref().map(|listen| listen.value.clone());
        let labeling = Labeling {
            promoted: self.promote_resource_attributes.clone(),
            scope: self.promote_scope_metadata,
        };
        let exporter = Exporter {
            intake,
            labeling,
            reading: Arc::default(),
        };
        context.receive(exporter.clone());
        context.build(move |memory| OtlpCollector {
            series: exporter.intake.collector(memory),
            grpc: listen
                .clone()
                .map(|listen| Grpc::new(listen, access.clone(), exporter.clone(), memory.clone())),
        })
    }
}

impl Otlp {
    /// Reports settings of an address that is not there.
    fn check_without_grpc(&self, problems: &mut Diagnostics) {
        let tls = self.grpc_tls.as_ref().map(|tls| &tls.at);
        let file = self.grpc_bearer_token_file.as_ref().map(|file| &file.at);
        if let Some(at) = tls.or(file) {
            problems
                .error(at, "access to gRPC without its address")
                .hint("set `grpc_listen: 127.0.0.1:4317`, for example");
        }
    }
}

/// Takes metrics of any transport.
#[derive(Clone)]
struct Exporter {
    intake: Intake,
    labeling: Labeling,
    /// Held while a request is read: in memory, it and its series take many times the size of a compressed one.
    reading: Arc<Mutex<()>>,
}

impl Exporter {
    /// Takes the points of a request, and returns what is rejected.
    fn export(&self, memory: &Memory, request: Message<'_>, now: Now) -> ExportResponse {
        let totals = memory.get::<Mutex<Totals>>(self.intake.origin());
        // Until the series are taken over, so that sums of two requests stay in order.
        let mut totals = totals.lock();
        let mut translator = Translator {
            labeling: &self.labeling,
            intake: &self.intake,
            totals: &mut totals,
            now,
            batch: SeriesBatch::within(self.intake.limits().bytes.0),
            points: 0,
        };
        translator.translate(request);
        let (batch, points) = (translator.batch, translator.points);
        let rejected = self.intake.push(memory, &batch, now);
        ExportResponse {
            partial_success: partial_success(&rejected, points),
        }
    }
}

/// Says how many of the points are rejected. A histogram some of whose series are rejected counts as one for each, but no
/// more than all are rejected.
fn partial_success(rejected: &Rejected, points: u64) -> Option<PartialSuccess> {
    let count: u64 = rejected.iter().map(|(_, count, _)| count).sum();
    (count > 0).then(|| PartialSuccess {
        rejected_data_points: count.min(points) as i64,
        error_message: rejected.notes().join("; "),
    })
}

impl Receiver for Exporter {
    fn receive(
        &self,
        memory: &Memory,
        _: Option<&dyn TimedHistory>,
        request: &Request<Bytes>,
        now: Now,
    ) -> Response<Vec<u8>> {
        let _reading = self.reading.lock();
        exchange::respond(request, self.intake.limits().bytes.0, |request| {
            self.export(memory, request, now)
        })
    }
}

/// Collector of the series. The listener for gRPC is bound at a collection, so that an address in use is its failure.
struct OtlpCollector {
    series: Blocking<PushedSource>,
    grpc: Option<Grpc>,
}

impl Collector for OtlpCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let listening = match &mut self.grpc {
                Some(grpc) => grpc.listen(now).await,
                None => Ok(()),
            };
            self.series.collect(batch, now).await?;
            listening
        })
    }
}

#[cfg(test)]
mod tests;
