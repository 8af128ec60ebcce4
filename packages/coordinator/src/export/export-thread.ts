import { carryOut } from '../task-thread.js';
import { writeExportFile, type ExportTask } from './export-file.js';

await carryOut<ExportTask>(writeExportFile);
