-- The tables of a small classic Appion-Leginon installation of 2016 that are read or written here:
-- definitions, and the rows that tell projects and their Appion databases apart.
-- Taken from leginon-org/leginon (https://github.com/leginon-org/leginon), Apache License 2.0.
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';


ALTER DATABASE `leginondb` DEFAULT CHARACTER SET latin1;
USE `leginondb`;

CREATE TABLE `AcquisitionImageData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|SessionData|session` int(20) DEFAULT NULL,
  `REF|ScopeEMData|scope` int(20) DEFAULT NULL,
  `REF|CameraEMData|camera` int(20) DEFAULT NULL,
  `REF|PresetData|preset` int(20) DEFAULT NULL,
  `MRC|image` text,
  `pixeltype` text,
  `pixels` int(20) DEFAULT NULL,
  `label` text,
  `filename` text,
  `correction channel` int(20) DEFAULT NULL,
  `channel` int(20) DEFAULT NULL,
  `version` int(20) DEFAULT NULL,
  `tiltnumber` int(20) DEFAULT NULL,
  `REF|ImageListData|list` int(20) DEFAULT NULL,
  `REF|QueueData|queue` int(20) DEFAULT NULL,
  `REF|CorrectorPlanData|corrector plan` int(20) DEFAULT NULL,
  `REF|DarkImageData|dark` int(20) DEFAULT NULL,
  `REF|BrightImageData|bright` int(20) DEFAULT NULL,
  `REF|NormImageData|norm` int(20) DEFAULT NULL,
  `REF|AcquisitionImageTargetData|target` int(20) DEFAULT NULL,
  `REF|EMTargetData|emtarget` int(20) DEFAULT NULL,
  `REF|GridData|grid` int(20) DEFAULT NULL,
  `REF|SpotWellMapData|spotmap` int(20) DEFAULT NULL,
  `REF|TiltSeriesData|tilt series` int(20) DEFAULT NULL,
  `REF|MoverParamsData|mover` int(20) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|SessionData|session` (`REF|SessionData|session`),
  KEY `REF|ScopeEMData|scope` (`REF|ScopeEMData|scope`),
  KEY `REF|CameraEMData|camera` (`REF|CameraEMData|camera`),
  KEY `REF|PresetData|preset` (`REF|PresetData|preset`),
  KEY `REF|ImageListData|list` (`REF|ImageListData|list`),
  KEY `REF|QueueData|queue` (`REF|QueueData|queue`),
  KEY `REF|CorrectorPlanData|corrector plan` (`REF|CorrectorPlanData|corrector plan`),
  KEY `REF|DarkImageData|dark` (`REF|DarkImageData|dark`),
  KEY `REF|BrightImageData|bright` (`REF|BrightImageData|bright`),
  KEY `REF|NormImageData|norm` (`REF|NormImageData|norm`),
  KEY `REF|AcquisitionImageTargetData|target` (`REF|AcquisitionImageTargetData|target`),
  KEY `REF|EMTargetData|emtarget` (`REF|EMTargetData|emtarget`),
  KEY `REF|GridData|grid` (`REF|GridData|grid`),
  KEY `REF|SpotWellMapData|spotmap` (`REF|SpotWellMapData|spotmap`),
  KEY `REF|TiltSeriesData|tilt series` (`REF|TiltSeriesData|tilt series`),
  KEY `REF|MoverParamsData|mover` (`REF|MoverParamsData|mover`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `CameraEMData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|SessionData|session` int(20) DEFAULT NULL,
  `REF|InstrumentData|ccdcamera` int(20) DEFAULT NULL,
  `system time` double DEFAULT NULL,
  `SUBD|dimension|x` int(20) DEFAULT NULL,
  `SUBD|dimension|y` int(20) DEFAULT NULL,
  `SUBD|binning|x` int(20) DEFAULT NULL,
  `SUBD|binning|y` int(20) DEFAULT NULL,
  `binned multiplier` double DEFAULT NULL,
  `exposure time` double DEFAULT NULL,
  `exposure type` text,
  `exposure timestamp` double DEFAULT NULL,
  `inserted` tinyint(1) DEFAULT '0',
  `dump` tinyint(1) DEFAULT '0',
  `energy filtered` tinyint(1) DEFAULT '0',
  `energy filter` tinyint(1) DEFAULT '0',
  `energy filter width` double DEFAULT NULL,
  `nframes` int(20) DEFAULT NULL,
  `save frames` tinyint(1) DEFAULT '0',
  `align frames` tinyint(1) DEFAULT '0',
  `align filter` text,
  `frames name` text,
  `frame time` double DEFAULT NULL,
  `frame flip` tinyint(1) DEFAULT '0',
  `frame rotate` int(20) DEFAULT NULL,
  `temperature` double DEFAULT NULL,
  `temperature status` text,
  `readout delay` int(20) DEFAULT NULL,
  `gain index` int(20) DEFAULT NULL,
  `system corrected` tinyint(1) DEFAULT '0',
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|SessionData|session` (`REF|SessionData|session`),
  KEY `REF|InstrumentData|ccdcamera` (`REF|InstrumentData|ccdcamera`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `GroupData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `name` text,
  `description` text,
  `REF|projectdata|privileges|privilege` int(11) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|projectdata|privileges|privilege` (`REF|projectdata|privileges|privilege`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `InstrumentData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `name` text,
  `hostname` text,
  `type` text,
  `description` text,
  `scope` text,
  `camera` text,
  `camera size` int(11) DEFAULT NULL,
  `camera pixel size` double DEFAULT NULL,
  `cs` double DEFAULT NULL,
  `pixelmax` int(20) DEFAULT NULL,
  `hidden` tinyint(1) DEFAULT '0',
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `PixelSizeCalibrationData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|SessionData|session` int(20) DEFAULT NULL,
  `REF|InstrumentData|tem` int(20) DEFAULT NULL,
  `REF|InstrumentData|ccdcamera` int(20) DEFAULT NULL,
  `magnification` int(20) DEFAULT NULL,
  `high tension` int(20) DEFAULT NULL,
  `pixelsize` double DEFAULT NULL,
  `comment` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|SessionData|session` (`REF|SessionData|session`),
  KEY `REF|InstrumentData|tem` (`REF|InstrumentData|tem`),
  KEY `REF|InstrumentData|ccdcamera` (`REF|InstrumentData|ccdcamera`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `PresetData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|SessionData|session` int(20) DEFAULT NULL,
  `REF|InstrumentData|tem` int(20) DEFAULT NULL,
  `REF|InstrumentData|ccdcamera` int(20) DEFAULT NULL,
  `number` int(20) DEFAULT NULL,
  `name` text,
  `magnification` int(20) DEFAULT NULL,
  `spot size` int(20) DEFAULT NULL,
  `intensity` double DEFAULT NULL,
  `defocus` double DEFAULT NULL,
  `defocus range min` double DEFAULT NULL,
  `defocus range max` double DEFAULT NULL,
  `exposure time` double DEFAULT NULL,
  `removed` tinyint(1) DEFAULT '0',
  `hasref` tinyint(1) DEFAULT '0',
  `dose` double DEFAULT NULL,
  `film` tinyint(1) DEFAULT '0',
  `tem energy filter` tinyint(1) DEFAULT '0',
  `tem energy filter width` double DEFAULT NULL,
  `energy filter` tinyint(1) DEFAULT '0',
  `energy filter width` double DEFAULT NULL,
  `pre exposure` double DEFAULT NULL,
  `skip` tinyint(1) DEFAULT '0',
  `alt channel` tinyint(1) DEFAULT '0',
  `save frames` tinyint(1) DEFAULT '0',
  `frame time` double DEFAULT NULL,
  `align frames` tinyint(1) DEFAULT '0',
  `align filter` text,
  `readout delay` int(20) DEFAULT NULL,
  `probe mode` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|SessionData|session` (`REF|SessionData|session`),
  KEY `REF|InstrumentData|tem` (`REF|InstrumentData|tem`),
  KEY `REF|InstrumentData|ccdcamera` (`REF|InstrumentData|ccdcamera`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ScopeEMData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|SessionData|session` int(20) DEFAULT NULL,
  `REF|InstrumentData|tem` int(20) DEFAULT NULL,
  `system time` double DEFAULT NULL,
  `magnification` int(20) DEFAULT NULL,
  `spot size` int(20) DEFAULT NULL,
  `intensity` double DEFAULT NULL,
  `defocus` double DEFAULT NULL,
  `focus` double DEFAULT NULL,
  `reset defocus` int(20) DEFAULT NULL,
  `screen current` double DEFAULT NULL,
  `beam blank` text,
  `corrected stage position` int(20) DEFAULT NULL,
  `SUBD|stage position|a` double DEFAULT NULL,
  `SUBD|stage position|x` double DEFAULT NULL,
  `SUBD|stage position|y` double DEFAULT NULL,
  `SUBD|stage position|z` double DEFAULT NULL,
  `holder type` text,
  `holder status` text,
  `stage status` text,
  `vacuum status` text,
  `column valves` text,
  `column pressure` double DEFAULT NULL,
  `turbo pump` text,
  `high tension` int(20) DEFAULT NULL,
  `main screen position` text,
  `main screen magnification` int(20) DEFAULT NULL,
  `small screen position` text,
  `low dose` text,
  `low dose mode` text,
  `film stock` int(20) DEFAULT NULL,
  `film exposure number` int(20) DEFAULT NULL,
  `pre film exposure` tinyint(1) DEFAULT '0',
  `post film exposure` tinyint(1) DEFAULT '0',
  `film exposure` tinyint(1) DEFAULT '0',
  `film exposure type` text,
  `film exposure time` double DEFAULT NULL,
  `film manual exposure time` double DEFAULT NULL,
  `film automatic exposure time` double DEFAULT NULL,
  `film text` text,
  `film user code` text,
  `film date type` text,
  `objective current` double DEFAULT NULL,
  `exp wait time` double DEFAULT NULL,
  `tem energy filtered` tinyint(1) DEFAULT '0',
  `tem energy filter` tinyint(1) DEFAULT '0',
  `tem energy filter width` double DEFAULT NULL,
  `probe mode` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|SessionData|session` (`REF|SessionData|session`),
  KEY `REF|InstrumentData|tem` (`REF|InstrumentData|tem`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `SessionData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `name` text,
  `REF|UserData|user` int(20) DEFAULT NULL,
  `image path` text,
  `comment` text,
  `hidden` tinyint(4) DEFAULT NULL,
  `REF|InstrumentData|instrument` int(20) DEFAULT NULL,
  `REF|GridHolderData|holder` int(20) DEFAULT NULL,
  `frame path` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|UserData|user` (`REF|UserData|user`),
  KEY `REF|GridHolderData|holder` (`REF|GridHolderData|holder`),
  FULLTEXT KEY `name` (`name`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `UserData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `username` varchar(24) DEFAULT NULL,
  `firstname` varchar(24) DEFAULT NULL,
  `lastname` varchar(24) DEFAULT NULL,
  `password` char(32) DEFAULT NULL,
  `email` varchar(60) DEFAULT NULL,
  `REF|GroupData|group` int(20) DEFAULT NULL,
  `noleginon` tinyint(1) DEFAULT NULL,
  `advanced` tinyint(1) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  UNIQUE KEY `username` (`username`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|GroupData|group` (`REF|GroupData|group`),
  KEY `email` (`email`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ViewerImageStatus` (
  `DEF_id` int(11) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|SessionData|session` int(11) DEFAULT NULL,
  `REF|AcquisitionImageData|image` int(11) DEFAULT NULL,
  `status` enum('hidden','visible','exemplar','trash') DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|SessionData|session` (`REF|SessionData|session`),
  KEY `REF|AcquisitionImageData|image` (`REF|AcquisitionImageData|image`),
  KEY `status` (`status`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;


ALTER DATABASE `projectdb` DEFAULT CHARACTER SET latin1;
USE `projectdb`;

CREATE TABLE `privileges` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `description` text NOT NULL,
  `groups` tinyint(4) NOT NULL,
  `users` tinyint(4) NOT NULL,
  `projects` tinyint(4) NOT NULL,
  `projectowners` tinyint(4) NOT NULL,
  `shareexperiments` tinyint(4) NOT NULL,
  `data` tinyint(4) NOT NULL,
  `gridboxes` tinyint(4) NOT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `processingdb` (
  `DEF_id` int(20) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|projects|project` int(20) DEFAULT NULL,
  `appiondb` varchar(50) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|projects|project` (`REF|projects|project`),
  KEY `appiondb` (`appiondb`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

INSERT INTO `processingdb` VALUES (1,'2015-10-05 17:02:51',1,'ap1');

CREATE TABLE `projectexperiments` (
  `DEF_id` int(11) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|projects|project` int(11) DEFAULT NULL,
  `REF|leginondata|SessionData|session` int(11) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `project` (`REF|projects|project`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `session` (`REF|leginondata|SessionData|session`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `projectowners` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|projects|project` int(16) NOT NULL,
  `REF|leginondata|UserData|user` int(16) NOT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|projects|project` (`REF|projects|project`),
  KEY `REF|leginondata|UserData|user` (`REF|leginondata|UserData|user`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `projects` (
  `DEF_id` int(11) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `name` varchar(255) NOT NULL,
  `short_description` text NOT NULL,
  `long_description` text NOT NULL,
  `category` text NOT NULL,
  `funding` text NOT NULL,
  `leginondb` varchar(50) DEFAULT NULL,
  `hidden` tinyint(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (`DEF_id`),
  KEY `hidden` (`hidden`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

INSERT INTO `projects` VALUES (1,'2015-10-05 17:02:16','GroEL','','','','',NULL,0),(2,'2015-10-05 17:02:16','CTF','','','','',NULL,0);


ALTER DATABASE `ap1` DEFAULT CHARACTER SET latin1;
USE `ap1`;

CREATE TABLE `ApAce2ParamsData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `bin` int(20) DEFAULT NULL,
  `reprocess` double DEFAULT NULL,
  `cs` double DEFAULT NULL,
  `stig` tinyint(1) DEFAULT NULL,
  `min_defocus` double DEFAULT NULL,
  `max_defocus` double DEFAULT NULL,
  `edge_thresh` double DEFAULT NULL,
  `edge_blur` double DEFAULT NULL,
  `rot_blur` double DEFAULT NULL,
  `refine2d` tinyint(1) DEFAULT NULL,
  `onepass` double DEFAULT NULL,
  `zeropass` double DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `stig` (`stig`),
  KEY `refine2d` (`refine2d`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApAceParamsData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `display` int(20) DEFAULT NULL,
  `stig` int(20) DEFAULT NULL,
  `medium` text,
  `df_override` double DEFAULT NULL,
  `edgethcarbon` double DEFAULT NULL,
  `edgethice` double DEFAULT NULL,
  `pfcarbon` double DEFAULT NULL,
  `pfice` double DEFAULT NULL,
  `overlap` int(20) DEFAULT NULL,
  `fieldsize` int(20) DEFAULT NULL,
  `resamplefr` double DEFAULT NULL,
  `drange` int(20) DEFAULT NULL,
  `reprocess` double DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApAceRunData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|ApAceParamsData|aceparams` int(20) DEFAULT NULL,
  `REF|ApCtfTiltParamsData|ctftilt_params` int(20) DEFAULT NULL,
  `REF|ApAce2ParamsData|ace2_params` int(20) DEFAULT NULL,
  `REF|leginondata|SessionData|session` int(20) DEFAULT NULL,
  `REF|ApPathData|path` int(20) DEFAULT NULL,
  `name` text,
  `hidden` tinyint(1) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ApAceParamsData|aceparams` (`REF|ApAceParamsData|aceparams`),
  KEY `REF|ApCtfTiltParamsData|ctftilt_params` (`REF|ApCtfTiltParamsData|ctftilt_params`),
  KEY `REF|ApAce2ParamsData|ace2_params` (`REF|ApAce2ParamsData|ace2_params`),
  KEY `REF|leginondata|SessionData|session` (`REF|leginondata|SessionData|session`),
  KEY `REF|ApPathData|path` (`REF|ApPathData|path`),
  KEY `hidden` (`hidden`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApAppionJobData` (
  `DEF_id` int(20) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|ApPathData|path` int(20) DEFAULT NULL,
  `name` text,
  `jobtype` text,
  `REF|ApPathData|dmfpath` int(20) DEFAULT NULL,
  `REF|ApPathData|clusterpath` int(20) DEFAULT NULL,
  `REF|leginondata|SessionData|session` int(20) DEFAULT NULL,
  `cluster` text,
  `clusterjobid` int(20) DEFAULT NULL,
  `status` varchar(1) DEFAULT NULL,
  `user` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ApPathData|clusterpath` (`REF|ApPathData|clusterpath`),
  KEY `REF|leginondata|SessionData|session` (`REF|leginondata|SessionData|session`),
  KEY `REF|ApPathData|dmfpath` (`REF|ApPathData|dmfpath`),
  KEY `clusterjobid` (`clusterjobid`),
  KEY `status` (`status`),
  KEY `jobtype_10` (`jobtype`(10))
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApAssessmentData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|ApAssessmentRunData|assessmentrun` int(20) DEFAULT NULL,
  `REF|leginondata|AcquisitionImageData|image` int(20) DEFAULT NULL,
  `selectionkeep` int(20) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ApAssessmentRunData|assessmentrun` (`REF|ApAssessmentRunData|assessmentrun`),
  KEY `REF|leginondata|AcquisitionImageData|image` (`REF|leginondata|AcquisitionImageData|image`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApAssessmentRunData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|leginondata|SessionData|session` int(20) DEFAULT NULL,
  `name` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|leginondata|SessionData|session` (`REF|leginondata|SessionData|session`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApCtfData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|ApAceRunData|acerun` int(20) DEFAULT NULL,
  `REF|leginondata|AcquisitionImageData|image` int(20) DEFAULT NULL,
  `defocus1` double DEFAULT NULL,
  `defocus2` double DEFAULT NULL,
  `defocusinit` double DEFAULT NULL,
  `amplitude_contrast` double DEFAULT NULL,
  `angle_astigmatism` double DEFAULT NULL,
  `tilt_angle` double DEFAULT NULL,
  `tilt_axis_angle` double DEFAULT NULL,
  `snr` double DEFAULT NULL,
  `confidence` double DEFAULT NULL,
  `confidence_d` double DEFAULT NULL,
  `graph1` text,
  `graph2` text,
  `mat_file` text,
  `cross_correlation` double DEFAULT NULL,
  `ctfvalues_file` text,
  `cs` double DEFAULT NULL,
  `noise1` double DEFAULT NULL,
  `noise2` double DEFAULT NULL,
  `noise3` double DEFAULT NULL,
  `noise4` double DEFAULT NULL,
  `envelope1` double DEFAULT NULL,
  `envelope2` double DEFAULT NULL,
  `envelope3` double DEFAULT NULL,
  `envelope4` double DEFAULT NULL,
  `lowercutoff` double DEFAULT NULL,
  `uppercutoff` double DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ApAceRunData|acerun` (`REF|ApAceRunData|acerun`),
  KEY `REF|leginondata|AcquisitionImageData|image` (`REF|leginondata|AcquisitionImageData|image`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApCtfTiltParamsData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `medium` text,
  `ampcarbon` double DEFAULT NULL,
  `ampice` double DEFAULT NULL,
  `fieldsize` int(20) DEFAULT NULL,
  `cs` double DEFAULT NULL,
  `bin` int(20) DEFAULT NULL,
  `resmin` double DEFAULT NULL,
  `resmax` double DEFAULT NULL,
  `defstep` double DEFAULT NULL,
  `dast` double DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApDDStackParamsData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `preset` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApDDStackRunData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `runname` text,
  `REF|ApDDStackParamsData|params` int(20) DEFAULT NULL,
  `REF|leginondata|SessionData|session` int(20) DEFAULT NULL,
  `REF|ApPathData|path` int(20) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ApDDStackParamsData|params` (`REF|ApDDStackParamsData|params`),
  KEY `REF|leginondata|SessionData|session` (`REF|leginondata|SessionData|session`),
  KEY `REF|ApPathData|path` (`REF|ApPathData|path`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApParticleData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|ApSelectionRunData|selectionrun` int(20) DEFAULT NULL,
  `REF|leginondata|AcquisitionImageData|image` int(20) DEFAULT NULL,
  `xcoord` int(20) DEFAULT NULL,
  `ycoord` int(20) DEFAULT NULL,
  `angle` double DEFAULT NULL,
  `correlation` double DEFAULT NULL,
  `REF|ApTemplateImageData|template` int(20) DEFAULT NULL,
  `peakmoment` double DEFAULT NULL,
  `peakstddev` double DEFAULT NULL,
  `peakarea` int(20) DEFAULT NULL,
  `diameter` double DEFAULT NULL,
  `label` text,
  `helixnum` int(20) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ApSelectionRunData|selectionrun` (`REF|ApSelectionRunData|selectionrun`),
  KEY `REF|leginondata|AcquisitionImageData|image` (`REF|leginondata|AcquisitionImageData|image`),
  KEY `REF|ApTemplateImageData|template` (`REF|ApTemplateImageData|template`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApPathData` (
  `DEF_id` int(20) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `path` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `path_index32` (`path`(32))
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApSelectionRunData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `name` text,
  `hidden` tinyint(1) DEFAULT NULL,
  `REF|ApPathData|path` int(20) DEFAULT NULL,
  `REF|leginondata|SessionData|session` int(20) DEFAULT NULL,
  `REF|ApSelectionParamsData|params` int(20) DEFAULT NULL,
  `REF|ApDogParamsData|dogparams` int(20) DEFAULT NULL,
  `REF|ApManualParamsData|manparams` int(20) DEFAULT NULL,
  `REF|ApTiltAlignParamsData|tiltparams` int(20) DEFAULT NULL,
  `description` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `hidden` (`hidden`),
  KEY `REF|ApPathData|path` (`REF|ApPathData|path`),
  KEY `REF|leginondata|SessionData|session` (`REF|leginondata|SessionData|session`),
  KEY `REF|ApSelectionParamsData|params` (`REF|ApSelectionParamsData|params`),
  KEY `REF|ApDogParamsData|dogparams` (`REF|ApDogParamsData|dogparams`),
  KEY `REF|ApManualParamsData|manparams` (`REF|ApManualParamsData|manparams`),
  KEY `REF|ApTiltAlignParamsData|tiltparams` (`REF|ApTiltAlignParamsData|tiltparams`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApStackData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `REF|ApPathData|path` int(20) DEFAULT NULL,
  `name` text,
  `description` text,
  `hidden` tinyint(1) DEFAULT NULL,
  `REF|ApStackData|oldstack` int(20) DEFAULT NULL,
  `substackname` text,
  `pixelsize` double DEFAULT NULL,
  `centered` tinyint(1) DEFAULT NULL,
  `junksorted` tinyint(1) DEFAULT NULL,
  `beamtilt_corrected` tinyint(1) DEFAULT NULL,
  `mask` int(20) DEFAULT NULL,
  `maxshift` int(20) DEFAULT NULL,
  `boxsize` int(20) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ApPathData|path` (`REF|ApPathData|path`),
  KEY `hidden` (`hidden`),
  KEY `REF|ApStackData|oldstack` (`REF|ApStackData|oldstack`),
  KEY `centered` (`centered`),
  KEY `junksorted` (`junksorted`),
  KEY `beamtilt_corrected` (`beamtilt_corrected`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ApStackParticleData` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `particleNumber` int(20) DEFAULT NULL,
  `REF|ApStackData|stack` int(20) DEFAULT NULL,
  `REF|ApStackRunData|stackRun` int(20) DEFAULT NULL,
  `REF|ApParticleData|particle` int(20) DEFAULT NULL,
  `mean` double DEFAULT NULL,
  `stdev` double DEFAULT NULL,
  `min` double DEFAULT NULL,
  `max` double DEFAULT NULL,
  `skew` double DEFAULT NULL,
  `kurtosis` double DEFAULT NULL,
  `edgemean` double DEFAULT NULL,
  `edgestdev` double DEFAULT NULL,
  `centermean` double DEFAULT NULL,
  `centerstdev` double DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ApStackData|stack` (`REF|ApStackData|stack`),
  KEY `REF|ApStackRunData|stackRun` (`REF|ApStackRunData|stackRun`),
  KEY `REF|ApParticleData|particle` (`REF|ApParticleData|particle`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ScriptHostName` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `name` text,
  `ip` text,
  `system` text,
  `distro` text,
  `arch` text,
  `nproc` int(20) DEFAULT NULL,
  `memory` int(20) DEFAULT NULL,
  `cpu_vendor` text,
  `gpu_vendor` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ScriptParamName` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `name` text,
  `REF|ScriptProgramName|progname` int(20) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ScriptProgramName|progname` (`REF|ScriptProgramName|progname`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ScriptParamValue` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `value` text,
  `usage` text,
  `REF|ScriptParamName|paramname` int(20) DEFAULT NULL,
  `REF|ScriptProgramRun|progrun` int(20) DEFAULT NULL,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ScriptParamName|paramname` (`REF|ScriptParamName|paramname`),
  KEY `REF|ScriptProgramRun|progrun` (`REF|ScriptProgramRun|progrun`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ScriptProgramName` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `name` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ScriptProgramRun` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `runname` text,
  `revision` text,
  `REF|ScriptProgramName|progname` int(20) DEFAULT NULL,
  `REF|ScriptUserName|username` int(20) DEFAULT NULL,
  `REF|ScriptHostName|hostname` int(20) DEFAULT NULL,
  `REF|ApPathData|rundir` int(20) DEFAULT NULL,
  `REF|ApAppionJobData|job` int(20) DEFAULT NULL,
  `REF|ApPathData|appion_path` int(20) DEFAULT NULL,
  `unixshell` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`),
  KEY `REF|ScriptProgramName|progname` (`REF|ScriptProgramName|progname`),
  KEY `REF|ScriptUserName|username` (`REF|ScriptUserName|username`),
  KEY `REF|ScriptHostName|hostname` (`REF|ScriptHostName|hostname`),
  KEY `REF|ApPathData|rundir` (`REF|ApPathData|rundir`),
  KEY `REF|ApAppionJobData|job` (`REF|ApAppionJobData|job`),
  KEY `REF|ApPathData|appion_path` (`REF|ApPathData|appion_path`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE `ScriptUserName` (
  `DEF_id` int(16) NOT NULL AUTO_INCREMENT,
  `DEF_timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `name` text,
  `uid` int(20) DEFAULT NULL,
  `gid` int(20) DEFAULT NULL,
  `fullname` text,
  PRIMARY KEY (`DEF_id`),
  KEY `DEF_timestamp` (`DEF_timestamp`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;
