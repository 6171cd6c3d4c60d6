// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Where a field lies in a raw event.</summary>
internal readonly record struct EventField(int Offset, int Size)
{
    /// <summary>Its value, zero-extended; 0 where the event is too short.</summary>
    public ulong Of(ReadOnlySpan<byte> data)
    {
        if (Offset < 0 || Offset + Size > data.Length) return 0;
        ulong n = 0;
        for (int i = Size - 1; i >= 0; i--) n = n << 8 | data[Offset + i];
        return n;
    }
}

/// <summary>An event's number and layout, from events/SYSTEM/NAME/format of the running kernel: both differ from build to build.</summary>
internal sealed record EventFormat(string Name, int Id, IReadOnlyDictionary<string, EventField> Fields)
{
    /// <summary>A field by name.</summary>
    /// <exception cref="UsageException">This kernel's event has no such field.</exception>
    public EventField this[string field] => Fields.TryGetValue(field, out EventField f) ? f
        : throw new UsageException($"record: event {Name} of this kernel has no field {field}", ofThisMachine: true);

    /// <summary>Reads the text of a format file.</summary>
    public static EventFormat Parse(string name, string text)
    {
        int id = -1;
        var fields = new Dictionary<string, EventField>();
        foreach (string line in text.Split('\n'))
        {
            if (line.StartsWith("ID:", StringComparison.Ordinal)) _ = int.TryParse(line.AsSpan(3).Trim(), CultureInfo.InvariantCulture, out id);
            if (!line.StartsWith("\tfield:", StringComparison.Ordinal)) continue;
            string[] parts = line[7..].Split(';', StringSplitOptions.TrimEntries);
            string declaration = parts[0];
            string field = declaration[(declaration.LastIndexOfAny([' ', '*']) + 1)..];
            int bracket = field.IndexOf('[', StringComparison.Ordinal);
            int offset = Value(parts, "offset:"), size = Value(parts, "size:");
            if (offset >= 0 && size is > 0 and <= 8) fields[bracket < 0 ? field : field[..bracket]] = new EventField(offset, size);
        }
        return id >= 0 ? new EventFormat(name, id, fields) : throw new UsageException($"record: the format of event {name} has no ID", ofThisMachine: true);
    }

    private static int Value(string[] parts, string key)
    {
        foreach (string part in parts)
            if (part.StartsWith(key, StringComparison.Ordinal) && int.TryParse(part.AsSpan(key.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int n)) return n;
        return -1;
    }
}
