import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.Stores;

/** Count by key in the DSL of Kafka Streams; settings are named in keyed_count.py. */
public final class KeyedCount {
    private static final Serde<byte[]> BYTES = Serdes.ByteArray();
    private static final String STORE = "counts";

    private final Map<String, String> told = new HashMap<>();
    private final AtomicLong seen = new AtomicLong();
    private final long events;

    private KeyedCount(String[] arguments) {
        for (String argument : arguments) {
            int at = argument.indexOf('=');
            told.put(argument.substring(0, at), argument.substring(at + 1));
        }
        events = Long.parseLong(told.get("events"));
    }

    public static void main(String[] arguments) throws Exception {
        new KeyedCount(arguments).run();
    }

    /** Values as they are; the first one is noted, and the one in the middle. */
    private byte[] value(String topic, byte[] data) {
        long number = seen.incrementAndGet();
        if (number == 1) {
            System.out.println("first");
        } else if (number == (events + 1) / 2) {
            System.out.println("half " + number);
        }
        return data;
    }

    private void run() throws Exception {
        Deserializer<byte[]> read = this::value;
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(told.get("topic"),
                        Consumed.with(BYTES, Serdes.serdeFrom(BYTES.serializer(), read)))
                .groupByKey(Grouped.with(BYTES, BYTES))
                .count(Materialized.as(told.get("store").equals("memory")
                        ? Stores.inMemoryKeyValueStore(STORE)
                        : Stores.persistentKeyValueStore(STORE)));
        try (KafkaStreams streams = new KafkaStreams(builder.build(), properties());
                Admin admin = Admin.create(Map.<String, Object>of(
                        "bootstrap.servers", told.get("bootstrap")))) {
            streams.start();
            while (committed(admin) < events) {
                if (streams.state() == KafkaStreams.State.ERROR) {
                    throw new IllegalStateException("the stream thread has died");
                }
                Thread.sleep(50);
            }
            System.out.println("done");
        }
        System.out.println("closed");
    }

    private Properties properties() {
        Properties found = new Properties();
        found.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("name"));
        found.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("bootstrap"));
        found.put(StreamsConfig.STATE_DIR_CONFIG, told.get("folder") + "/state");
        found.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, told.get("guarantee"));
        found.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, told.get("commit_ms"));
        found.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        found.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        found.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, BYTES.getClass());
        found.put("auto.offset.reset", "earliest");
        return found;
    }

    private long committed(Admin admin) throws Exception {
        long sum = 0;
        var offsets = admin.listConsumerGroupOffsets(told.get("name"))
                .partitionsToOffsetAndMetadata().get();
        for (var entry : offsets.entrySet()) {
            sum += entry.getValue() == null ? 0 : entry.getValue().offset();
        }
        return sum;
    }
}
