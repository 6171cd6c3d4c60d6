// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Torture;

/// <summary>
/// Counts what locks a line, by the word it locks: each such access to a cell is one locked instruction of the generated code (that is what
/// tests/Unit/Golden shows of the cells, and that nothing else locks). One thread at a time.
/// </summary>
internal static unsafe class LockedTally
{
    private static readonly Dictionary<(nint Word, string File), long> counts = [];

    /// <summary>Counting now.</summary>
    public static bool On { get; private set; }

    public static void Start()
    {
        counts.Clear();
        On = true;
    }

    /// <summary>Locked accesses by word and source file of the access.</summary>
    public static IReadOnlyDictionary<(nint Word, string File), long> Stop()
    {
        On = false;
        return counts;
    }

    public static void Count(void* word, string file)
    {
        (nint, string) key = ((nint)word, Path.GetFileName(file));
        counts[key] = counts.GetValueOrDefault(key) + 1;
    }
}
