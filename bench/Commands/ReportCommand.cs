// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`report FILE [MATRIX...]`: a result as HTML, or as text for an issue, a spreadsheet, a plotter, will-it-scale's or lkp's readers.</summary>
internal sealed class ReportCommand(CommandContext context)
{
    private static readonly string[] formats = ["html", "md", "csv", "hgrm", "will-it-scale", "lkp", "json"];

    public int Run(ParseResult parsed, string[] files)
    {
        OptionSet o = context.Options;
        if (files.Length == 0) throw new UsageException("report: which file? Give a result (.json, or a report), and after it what `matrix -o` wrote");
        bool extract = parsed.GetValue(o.Extract);
        string? name = parsed.GetValue(o.Out);
        string format = extract ? "json" : OptionSet.Word("--format", parsed.GetValue(o.Format) ?? FormatOf(name), formats);
        Result result = extract ? ResultReader.Load(files[0]) : Merged(files);
        string text = extract ? ResultReader.Json(files[0]) + "\n" : format switch
        {
            "md" => TextReports.Markdown(result),
            "csv" => TextReports.Csv(result),
            "hgrm" => TextReports.Histograms(result),
            "will-it-scale" => TextReports.WillItScale(result),
            "lkp" => TextReports.Lkp(result),
            "json" => JsonSerializer.Serialize(result, ResultJson.Default.Result) + "\n",
            _ => HtmlReport.Text(result),
        };
        if (format == "html") name ??= Path.ChangeExtension(files[0], ".html");
        if (name is null or "-")
        {
            context.Out.Write(text);
            return ExitCode.Done;
        }
        if (Path.GetFullPath(name) == Path.GetFullPath(files[0])) throw new UsageException($"--out: '{name}' is the file that is read; name another");
        ResultFile file = ResultFile.Open(name, extension: null);
        file.Write(text);
        context.Out.WriteLine($"{format} {file.Path} ({SizeText.Format(text.Length)})");
        return ExitCode.Done;
    }

    /// <summary>One result; every file after it is a matrix that is shown with it.</summary>
    private static Result Merged(string[] files)
    {
        Result result = ResultReader.Load(files[0]);
        foreach (string file in files.Skip(1))
        {
            (Result? another, MatrixReport? matrix) = ResultReader.LoadAny(file);
            if (another is not null) throw new UsageException($"report: {file} is a second result; a report shows one. To set two against each other: memcgnative compare");
            result = result with { Matrices = [.. result.Matrices ?? [], .. matrix!.Matrices], LineProbe = result.LineProbe ?? matrix.LineProbe };
        }
        return result;
    }

    /// <summary>What the name asks for.</summary>
    private static string? FormatOf(string? name) => Path.GetExtension(name ?? "") switch
    {
        ".md" => "md",
        ".csv" => "csv",
        ".hgrm" => "hgrm",
        ".json" => "json",
        _ => null,
    };
}
