/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.status;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads records from JSON whose keys are the names of their components in snake_case: numbers, flags, text, lists and records of these.
 * Jackson's databind could do it, and takes a tenth of a second to get ready for it, in each run of the CLI.
 */
final class RecordReader {
    private final JsonParser parser;

    private RecordReader(JsonParser parser) {
        this.parser = parser;
    }

    /**
     * One document. Keys that the record does not have are passed over; what the document does not have is null, zero,
     * false or an empty list.
     *
     * @throws IOException if it is not JSON, not an object, or a value is of another kind than its component
     */
    static <T extends Record> T read(String json, Class<T> type) throws IOException {
        try (JsonParser parser = new JsonFactory().createParser(json)) {
            parser.nextToken();
            return type.cast(new RecordReader(parser).record(type));
        }
    }

    private Object record(Class<?> type) throws IOException {
        require(parser.currentToken() == JsonToken.START_OBJECT, "an object");
        RecordComponent[] components = type.getRecordComponents();
        @Nullable Object[] values = new Object[components.length];
        Class<?>[] types = new Class<?>[components.length];
        for (int i = 0; i < components.length; i++) {
            types[i] = components[i].getType();
            values[i] = nothing(types[i]);
        }
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            int i = indexOf(parser.currentName(), components);
            parser.nextToken();
            if (i < 0) {
                parser.skipChildren();
            } else if (parser.currentToken() != JsonToken.VALUE_NULL) {
                values[i] = value(components[i].getGenericType());
            }
        }
        require(parser.currentToken() == JsonToken.END_OBJECT, "the end of an object");
        try {
            Constructor<?> constructor = type.getDeclaredConstructor(types);
            return constructor.newInstance(values);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(type + " is not a record that can be made here", e);
        }
    }

    private Object value(Type type) throws IOException {
        if (type instanceof ParameterizedType list) {
            return list(list.getActualTypeArguments()[0]);
        } else if (type == String.class) {
            require(parser.currentToken() == JsonToken.VALUE_STRING, "text");
            return parser.getText();
        } else if (type == boolean.class) {
            require(parser.currentToken().isBoolean(), "true or false");
            return parser.getBooleanValue();
        } else if (type instanceof Class<?> record && record.isRecord()) {
            return record(record);
        }
        require(parser.currentToken().isNumeric(), "a number");
        if (type == int.class || type == Integer.class) {
            return parser.getIntValue();
        } else if (type == long.class || type == Long.class) {
            return parser.getLongValue();
        }
        require(type == double.class || type == Double.class, "something else");
        return parser.getDoubleValue();
    }

    private List<Object> list(Type element) throws IOException {
        require(parser.currentToken() == JsonToken.START_ARRAY, "a list");
        List<Object> list = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            list.add(value(element));
        }
        return list;
    }

    private static @Nullable Object nothing(Class<?> type) {
        if (type == boolean.class) {
            return false;
        } else if (type == int.class) {
            return 0;
        } else if (type == long.class) {
            return 0L;
        } else if (type == List.class) {
            return List.of();
        }
        return type == double.class ? 0.0 : null;
    }

    private static int indexOf(String key, RecordComponent[] components) {
        for (int i = 0; i < components.length; i++) {
            if (isSnakeCaseOf(key, components[i].getName())) {
                return i;
            }
        }
        return -1;
    }

    /** {@code io_timeout} and {@code ioTimeout}. */
    private static boolean isSnakeCaseOf(String key, String name) {
        StringBuilder snake = new StringBuilder();
        for (char c : name.toCharArray()) {
            if (Character.isUpperCase(c)) {
                snake.append('_').append(Character.toLowerCase(c));
            } else {
                snake.append(c);
            }
        }
        return snake.toString().equals(key);
    }

    private void require(boolean condition, String what) throws IOException {
        if (!condition) {
            throw new JsonParseException(parser, "expected " + what);
        }
    }
}
