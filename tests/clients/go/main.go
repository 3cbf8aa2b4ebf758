// The Go SDK of OpenTelemetry, driven by a test: it exports to the address of the first argument, over the transport of the
// second one, and adds up deltas if there is a third one. For each number on its input it adds the number to a counter,
// observes it in a histogram and an exponential one, exports, and prints the error or "exported".
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

func main() {
	if err := run(os.Args[1], os.Args[2], len(os.Args) > 3); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, transport string, deltas bool) error {
	ctx := context.Background()
	exporter, err := newExporter(ctx, address, transport, deltas)
	if err != nil {
		return err
	}
	exponential := sdk.NewView(
		sdk.Instrument{Name: "fine"},
		sdk.Stream{Aggregation: sdk.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}},
	)
	provider := sdk.NewMeterProvider(
		sdk.WithReader(sdk.NewPeriodicReader(exporter, sdk.WithInterval(time.Hour))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "shop"),
			attribute.String("service.namespace", "web"),
			attribute.String("service.instance.id", "a:1"),
			attribute.StringSlice("zones", []string{"eu", "us"}),
		)),
		sdk.WithView(exponential),
	)
	meter := provider.Meter("test")
	requests, err := meter.Int64Counter("requests", metric.WithUnit("{request}"))
	if err != nil {
		return err
	}
	latency, err := meter.Float64Histogram("latency", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(0.5, 1))
	if err != nil {
		return err
	}
	fine, err := meter.Float64Histogram("fine", metric.WithUnit("s"))
	if err != nil {
		return err
	}
	temperature, err := meter.Float64Gauge("temperature", metric.WithUnit("Cel"))
	if err != nil {
		return err
	}
	route := metric.WithAttributes(attribute.String("http.route", "/"))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		number, err := strconv.ParseFloat(lines.Text(), 64)
		if err != nil {
			return err
		}
		requests.Add(ctx, int64(number), route)
		latency.Record(ctx, number)
		fine.Record(ctx, number)
		temperature.Record(ctx, -number)
		if err := provider.ForceFlush(ctx); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("exported")
		}
	}
	return provider.Shutdown(ctx)
}

func newExporter(ctx context.Context, address, transport string, deltas bool) (sdk.Exporter, error) {
	temporality := sdk.DefaultTemporalitySelector
	if deltas {
		temporality = func(sdk.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }
	}
	switch transport {
	case "http":
		return otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(address), otlpmetrichttp.WithInsecure(),
			otlpmetrichttp.WithTemporalitySelector(temporality))
	case "http+gzip":
		return otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(address), otlpmetrichttp.WithInsecure(),
			otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression), otlpmetrichttp.WithTemporalitySelector(temporality))
	case "grpc":
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(address), otlpmetricgrpc.WithInsecure(),
			otlpmetricgrpc.WithTemporalitySelector(temporality))
	case "grpc+gzip":
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(address), otlpmetricgrpc.WithInsecure(),
			otlpmetricgrpc.WithCompressor("gzip"), otlpmetricgrpc.WithTemporalitySelector(temporality))
	}
	return nil, fmt.Errorf("unknown transport: %s", transport)
}
