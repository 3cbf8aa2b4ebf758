// A page of client_golang with as many gauges as the first argument says, ten metrics with three
// labels, on the address that the second one names.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const metrics = 10

func main() {
	series, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	methods := []string{"GET", "POST"}
	for metric := range metrics {
		family := prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: fmt.Sprintf("bench_figure_%d", metric),
			Help: "A figure.",
		}, []string{"endpoint", "method", "status"})
		registry.MustRegister(family)
		for index := range series / metrics {
			endpoint := fmt.Sprintf("/api/v1/item/%d", index)
			family.WithLabelValues(endpoint, methods[index%2], "200").Set(float64(index) * 0.1234567)
		}
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	log.Fatal(http.ListenAndServe(os.Args[2], nil))
}
