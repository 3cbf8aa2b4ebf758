// Serves N series with three labels through client_golang, as the criterion bench
// benches/page.rs and benches/peers/pages.py make them: client_golang ADDRESS N.
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

func value(index int) float64 {
	if index%2 == 0 {
		return float64(index * 37)
	}
	return float64(index) * 0.1234567
}

func main() {
	series, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	var vectors []*prometheus.GaugeVec
	for metric := range metrics {
		vector := prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: fmt.Sprintf("multi_agent_system_api_request_figure_%d", metric),
			Help: "A figure.",
		}, []string{"endpoint", "method", "status"})
		registry.MustRegister(vector)
		vectors = append(vectors, vector)
	}
	methods := []string{"GET", "POST"}
	for index := range series {
		item := index / metrics
		labels := []string{fmt.Sprintf("/api/v1/item/%d", item), methods[item%2], "200"}
		vectors[index%metrics].WithLabelValues(labels...).Set(value(index))
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
