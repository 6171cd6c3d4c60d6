// SPDX-License-Identifier: GPL-2.0-only
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What an offset of the arena is called in a report: the block's name and the field's path.</summary>
internal static partial class Names
{
    private readonly record struct Block(int Offset, int Bytes, string Name, Type? Type);

    private static readonly List<Block> blocks = [];

    public static void Clear() => blocks.Clear();

    public static void Add(int offset, int bytes, string name, Type? type) => blocks.Add(new Block(offset, bytes, name, type));

    /// <summary>The name of size bytes at offset.</summary>
    public static string Of(int offset, int size)
    {
        for (int c = 0; c < Limits.Cpus; c++)
        {
            if (offset == Arena.CpuWord(c)) return $"cpu{c}.irq";
            if (offset == Arena.BufferCount(c)) return $"cpu{c}.buffer";
        }
        foreach (Block b in blocks)
        {
            int at = offset - b.Offset;
            if (at < 0 || at >= b.Bytes) continue;
            if (b.Type is null) return at == 0 ? b.Name : $"{b.Name}+{at}";
            int unit = RuntimeHelpers.SizeOf(b.Type.TypeHandle);
            string element = b.Bytes > unit ? $"{b.Name}[{at / unit}]" : b.Name;
            return element + Field(b.Type, at % unit, size);
        }
        return $"heap+{offset}";
    }

    /// <summary>A stored value: a pointer into the arena by name, else the number.</summary>
    public static string Value(long v)
    {
        int at = Arena.PointsAt(v);
        if (at <= 0) return v.ToString(System.Globalization.CultureInfo.InvariantCulture);
        foreach (Block b in blocks)
            if (b.Offset == at || (b.Type is { } t && at > b.Offset && at < b.Offset + b.Bytes && (at - b.Offset) % RuntimeHelpers.SizeOf(t.TypeHandle) == 0))
                return "&" + b.Name + (b.Type is null || b.Bytes == RuntimeHelpers.SizeOf(b.Type.TypeHandle)
                    ? "" : $"[{(at - b.Offset) / RuntimeHelpers.SizeOf(b.Type.TypeHandle)}]");
        return "&" + Of(at, 1);
    }

    /// <summary>A message with the pointers in it called by their names.</summary>
    public static string Readable(string message) => Pointer().Replace(message, m =>
    {
        bool hex = m.Value.Any(char.IsAsciiLetterLower);
        return long.TryParse(m.Value, hex ? System.Globalization.NumberStyles.HexNumber : System.Globalization.NumberStyles.None,
            System.Globalization.CultureInfo.InvariantCulture, out long v)
            && Arena.PointsAt(v) > 0 ? Value(v) : m.Value;
    });

    [GeneratedRegex(@"\b(?:\d{12,19}|7[0-9a-f]{11})\b")]
    private static partial Regex Pointer();

    private static string Field(Type type, int at, int size)
    {
        FieldInfo? best = null;
        int bestAt = 0;
        int next = 0;
        foreach (FieldInfo f in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            int bytes = SizeOf(f.FieldType);
            int align = Alignment(f.FieldType);
            int offset = f.GetCustomAttribute<FieldOffsetAttribute>()?.Value ?? ((next + align - 1) & -align);
            next = offset + bytes;
            if (at < offset || at >= offset + bytes) continue;
            if (best is null || (bytes == size && SizeOf(best.FieldType) != size)) (best, bestAt) = (f, offset);
        }
        if (best is null || IsCell(type)) return "";
        return $".{best.Name}{(best.FieldType.IsPrimitive || best.FieldType.IsPointer ? "" : Field(best.FieldType, at - bestAt, size))}";
    }

    /// <summary>A cell is one word: its inner field adds nothing to a report.</summary>
    private static bool IsCell(Type type) => type.Namespace == "MemcgNative.Native" && (type.Name.StartsWith("Atomic", StringComparison.Ordinal)
        || type.Name.StartsWith("Guarded", StringComparison.Ordinal));

    private static int SizeOf(Type t) => t.IsPointer ? nint.Size : RuntimeHelpers.SizeOf(t.TypeHandle);

    private static int Alignment(Type t)
    {
        if (t.IsPrimitive || t.IsPointer || t.IsEnum) return Math.Min(8, SizeOf(t));
        int align = 1;
        foreach (FieldInfo f in t.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)) align = Math.Max(align, Alignment(f.FieldType));
        return align;
    }
}
