// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>How much memory a node can give now.</summary>
internal static class NodeMemory
{
    /// <summary>What counts as available: free, page cache, reclaimable slab. Shared memory is in FilePages but on the anonymous lists, so the lists are read.</summary>
    private static readonly string[] keys = ["MemFree:", "Active(file):", "Inactive(file):", "SReclaimable:"];

    /// <summary>
    /// Bytes, or null where the system does not say. Of the only memory node it is MemAvailable of the whole machine: under a hypervisor
    /// that hands out memory on demand the node's own figure is only what came so far.
    /// </summary>
    /// <param name="node">The node.</param>
    /// <param name="root">"/", or a recorded machine.</param>
    public static long? AvailableBytes(NodeId node, string root = "/")
    {
        if (HugePages.MemoryNodes(root).Count < 2) return Sum(Path.Combine(root, "proc/meminfo"), ["MemAvailable:"]);
        return Sum(Path.Combine(root, $"sys/devices/system/node/node{node}/meminfo"), keys);
    }

    private static long? Sum(string file, string[] keys)
    {
        long kilobytes = 0;
        bool any = false;
        foreach (string line in (SysText.TryRead(file) ?? "").Split('\n'))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            int key = Array.FindIndex(words, keys.Contains);
            if (key < 0 || key + 1 >= words.Length || !long.TryParse(words[key + 1], NumberStyles.None, CultureInfo.InvariantCulture, out long kb)) continue;
            kilobytes += kb;
            any = true;
        }
        return any ? kilobytes << 10 : null;
    }
}
