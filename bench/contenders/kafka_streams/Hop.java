import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** A record out for each one in: the new count of its key; settings are named in hop.py. */
public final class Hop {
    private static final Serde<byte[]> BYTES = Serdes.ByteArray();
    private static final String STORE = "counts";

    private static final class Count implements Processor<byte[], byte[], byte[], String> {
        private ProcessorContext<byte[], String> context;
        private KeyValueStore<byte[], Long> counts;

        @Override
        public void init(ProcessorContext<byte[], String> given) {
            context = given;
            counts = given.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> one) {
            Long old = counts.get(one.key());
            long count = old == null ? 1 : old + 1;
            counts.put(one.key(), count);
            context.forward(one.withValue(Long.toString(count)));
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> told = new HashMap<>();
        for (String argument : arguments) {
            int at = argument.indexOf('=');
            told.put(argument.substring(0, at), argument.substring(at + 1));
        }
        Topology topology = new Topology()
                .addSource("in", BYTES.deserializer(), BYTES.deserializer(), told.get("topic"))
                .addProcessor("count", Count::new, "in")
                .addStateStore(
                        Stores.keyValueStoreBuilder(
                                Stores.persistentKeyValueStore(STORE), BYTES, Serdes.Long())
                                .withCachingEnabled(),
                        "count")
                .addSink("out", told.get("output"), BYTES.serializer(), new StringSerializer(),
                        "count");
        try (KafkaStreams streams = new KafkaStreams(topology, properties(told))) {
            streams.start();
            while (streams.state() != KafkaStreams.State.ERROR) {
                Thread.sleep(100);
            }
        }
        throw new IllegalStateException("the stream thread has died");
    }

    private static Properties properties(Map<String, String> told) {
        Properties found = new Properties();
        found.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("name"));
        found.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("bootstrap"));
        found.put(StreamsConfig.STATE_DIR_CONFIG, told.get("folder") + "/state");
        found.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, told.get("guarantee"));
        found.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, told.get("commit_ms"));
        found.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        found.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        found.put(StreamsConfig.producerPrefix("linger.ms"), told.get("linger_ms"));
        found.put("auto.offset.reset", "earliest");
        return found;
    }
}
